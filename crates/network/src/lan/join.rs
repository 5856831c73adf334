//! An interface for a container on its network's parent.

use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::Lan;
use crate::bridge::{Joined, with_ipv6};
use crate::driver::Segment;
use crate::error::{Error, Result};
use crate::netlink::{Batch, Monitor, Socket};
use crate::netns::Namespace;
use crate::route::{self, Link, MacvlanMode, Manner, Sublink};

/// How long the kernel may take to free the interface of a container that has ended. Measured: 10 to 60 ms.
const LINGERING: Duration = Duration::from_secs(5);
/// Interfaces of containers are numbered from here, where the kernel's own count never gets.
const FIRST_INDEX: u32 = 0x4000_0000;
/// Digits of an endpoint's id in its interface's number.
const INDEX_DIGITS: usize = 7;

/// Connects the namespace to the segment that the network's parent leads to. On an error, what was made dies with the
/// namespace.
pub(crate) fn join(
    host: &Mutex<Socket>,
    lan: &Lan,
    segment: &Segment,
    namespace: &mut Namespace,
    wanted: &Joined<'_>,
) -> Result<()> {
    let alone = lan.manner == Manner::Macvlan(MacvlanMode::Passthru);
    // A parent of this mode has one interface: EINVAL while the former is there.
    patiently(Errno::INVAL, alone, || {
        with_ipv6(namespace, wanted, || create(host, lan, segment, namespace, wanted))
    })?;
    // On one parent no address (macvlan: hardware address) is up twice: EADDRINUSE while the former is there.
    patiently(Errno::ADDRINUSE, true, || configure(namespace, lan, wanted)).map_err(|error| {
        let taken = match lan.manner {
            _ if error.errno() != Some(Errno::ADDRINUSE) => return error,
            Manner::Macvlan(_) => format!("the hardware address {}", wanted.mac),
            Manner::Ipvlan(..) => {
                let addresses = wanted.addresses.iter().map(|net| net.addr().to_string());
                format!("an address of {}", addresses.collect::<Vec<_>>().join(", "))
            }
        };
        Error::Config(format!("{taken} is in use on the interface {}", lan.parent.name()))
    })
}

/// Takes an endpoint's interface from the namespace, whatever the container calls it; that it is gone (a container may
/// remove its own) is no error.
pub(crate) fn leave(namespace: &mut Namespace, endpoint_id: &str) -> Result<()> {
    let number = index(endpoint_id);
    let links = route::dump(&mut namespace.route)?;
    let ours =
        |link: &&Link| link.index == number && matches!(link.kind.as_deref(), Some("macvlan" | "ipvlan"));
    let Some(link) = links.iter().find(ours) else { return Ok(()) };
    let mut batch = Batch::default();
    route::push_delete(&mut batch, link.index, &link.name);
    match namespace.route.request(&mut batch) {
        Err(error) if error.errno() == Some(Errno::NODEV) => Ok(()),
        result => result.map(|_| ()),
    }
}

/// The number of an endpoint's interface in its container. An interface keeps it when it is renamed or gets another
/// address, and it needs no record.
fn index(endpoint_id: &str) -> u32 {
    let digits = endpoint_id.get(..INDEX_DIGITS).unwrap_or_default();
    FIRST_INDEX | u32::from_str_radix(digits, 16).unwrap_or_default()
}

/// Whether the kernel has interfaces of this kind. It looks for the kind first, which may load a module, and then finds
/// that the parent asked for is none: nothing is ever made.
///
/// # Errors
/// It has none, and what it lacks is named.
pub(crate) fn probe(host: &mut Socket, manner: Manner) -> Result<()> {
    let place = Namespace::new()?;
    let mut batch = Batch::default();
    let netns = place.fd.as_fd();
    route::push_sublink(
        &mut batch,
        &Sublink { manner, parent: 0, netns, index: 0, name: "probe", mac: None, mtu: None },
    );
    match host.request(&mut batch) {
        Err(error) if error.errno() == Some(Errno::OPNOTSUPP) => Err(lacking(error, manner)),
        _ => Ok(()),
    }
}

fn create(
    host: &Mutex<Socket>,
    lan: &Lan,
    segment: &Segment,
    namespace: &Namespace,
    wanted: &Joined<'_>,
) -> Result<()> {
    let manner = lan.manner;
    let mut batch = Batch::default();
    let sublink = Sublink {
        manner,
        parent: segment.index,
        netns: namespace.fd.as_fd(),
        index: index(wanted.endpoint_id),
        name: wanted.name,
        mac: Some(wanted.mac).filter(|_| matches!(manner, Manner::Macvlan(_))),
        mtu: lan.mtu,
    };
    route::push_sublink(&mut batch, &sublink);
    let made = host.lock().unwrap_or_else(PoisonError::into_inner).request(&mut batch);
    made.map(drop).map_err(|error| match error.errno() {
        Some(Errno::BUSY) => Error::Config(format!(
            "the parent interface {} is in use by a bridge, a bond, or networks of another driver than {}",
            lan.parent.name(),
            manner.kind()
        )),
        _ => lacking(error, manner),
    })
}

fn configure(namespace: &mut Namespace, lan: &Lan, wanted: &Joined<'_>) -> Result<()> {
    let index = index(wanted.endpoint_id);
    let mut batch = Batch::default();
    if lan.manner == Manner::Macvlan(MacvlanMode::Passthru) {
        // The kernel has given it the parent's, whatever was asked for.
        route::push_mac(&mut batch, wanted.name, wanted.mac);
    }
    for address in wanted.addresses.iter().chain(&wanted.further) {
        route::push_address(&mut batch, index, *address);
    }
    route::push_up(&mut batch, index);
    for gateway in &wanted.gateways {
        route::replace_default_route(&mut batch, index, *gateway);
    }
    namespace.route.request(&mut batch).map(drop)
}

/// Tries again at every change of an interface while the kernel says `errno`: what stands in the way is perhaps the
/// interface of a container that has ended, which goes when its namespace is freed.
fn patiently(errno: Errno, may: bool, mut attempt: impl FnMut() -> Result<()>) -> Result<()> {
    let mut monitor: Option<Monitor> = None;
    let deadline = Instant::now() + LINGERING;
    loop {
        let result = attempt();
        let hindered = may && result.as_ref().is_err_and(|error| error.errno() == Some(errno));
        if !hindered {
            return result;
        }
        match &monitor {
            // It may go between the attempt and our listening.
            None => monitor = Some(Monitor::links()?),
            Some(monitor) if monitor.changed(deadline)? => {}
            Some(_) => return result,
        }
    }
}

fn lacking(error: Error, manner: Manner) -> Error {
    let kind = manner.kind();
    super::lacking(error, kind, &format!("CONFIG_{}, module {kind}", kind.to_uppercase()))
}
