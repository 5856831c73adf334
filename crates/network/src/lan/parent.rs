//! The interface of the host's that a network's containers stand on. One that is there is the
//! administrator's; one that we make (a dummy, or a VLAN's) bears our owner's name, by which it is
//! swept, and goes with the last network that uses it.

use rustix::io::Errno;

use super::lacking;
use crate::error::{Error, Result};
use crate::netlink::{Batch, Socket};
use crate::route::{self, Link};

/// Digits of the network's id in the name of a dummy, as Docker's.
const NAME_DIGITS: usize = 12;
/// Longest name of an interface.
const MAX_NAME_LEN: usize = 15;

/// Which interface a network's containers stand on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Parent {
    /// The one called so, or, if there is none and it says `interface.number`, that VLAN's on the interface.
    Named(String),
    /// One that leads nowhere: the network is closed.
    Dummy(String),
}

impl Parent {
    /// The one that was asked for, or the dummy of the network with this id.
    pub(crate) fn of(asked: Option<&str>, network_id: &str) -> Self {
        let dummy = || Self::Dummy(format!("dm-{}", network_id.get(..NAME_DIGITS).unwrap_or(network_id)));
        asked.map_or_else(dummy, |name| Self::Named(name.to_owned()))
    }

    /// The interface's name.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Named(name) | Self::Dummy(name) => name,
        }
    }
}

/// The interface, made if it is missing and can be made.
pub(crate) fn ensure(socket: &mut Socket, owner: &str, parent: &Parent) -> Result<Link> {
    let name = parent.name();
    if let Some(link) = route::by_name(socket, name)? {
        return Ok(link);
    }
    let mut batch = Batch::default();
    match parent {
        Parent::Dummy(name) => route::push_dummy(&mut batch, name),
        Parent::Named(name) => {
            let (base, vlan) = vlan(name)?;
            let base = route::by_name(socket, base)?.ok_or_else(|| {
                Error::Invalid(format!("-o parent interface was not found on the host: {base}"))
            })?;
            route::push_vlan(&mut batch, name, base.index, vlan);
        }
    }
    // In one send, so that it is never there without saying whose it is.
    route::push_alias(&mut batch, name, owner);
    route::push_up_by_name(&mut batch, name);
    match socket.request(&mut batch) {
        // Somebody else was faster: another daemon may use the same VLAN.
        Err(error) if error.errno() == Some(Errno::EXIST) => {}
        Err(error) => {
            // The first error is the one to report.
            let _ = remove(socket, owner, name);
            return Err(match parent {
                Parent::Dummy(_) => lacking(error, "dummy", "CONFIG_DUMMY, module dummy"),
                Parent::Named(_) => lacking(error, "VLAN", "CONFIG_VLAN_8021Q, module 8021q"),
            });
        }
        Ok(_) => {}
    }
    route::by_name(socket, name)?
        .ok_or_else(|| Error::Config(format!("interface {name} vanished while being made")))
}

/// Removes the interface if it is one that we have made. To be called when no other network uses it; that there is
/// none is no error.
pub(crate) fn release(socket: &mut Socket, owner: &str, parent: &Parent) -> Result<()> {
    remove(socket, owner, parent.name())
}

/// Removes the interfaces that we have made, except those called as in `keep`; the names of those removed.
pub(crate) fn sweep(socket: &mut Socket, owner: &str, keep: impl Fn(&str) -> bool) -> Result<Vec<String>> {
    let mut removed = Vec::new();
    for link in route::dump(socket)? {
        if is_ours(&link, owner) && !keep(&link.name) {
            delete(socket, &link)?;
            removed.push(link.name);
        }
    }
    Ok(removed)
}

fn remove(socket: &mut Socket, owner: &str, name: &str) -> Result<()> {
    match route::by_name(socket, name)? {
        Some(link) if is_ours(&link, owner) => delete(socket, &link),
        _ => Ok(()),
    }
}

fn is_ours(link: &Link, owner: &str) -> bool {
    matches!(link.kind.as_deref(), Some("dummy" | "vlan")) && link.alias.as_deref() == Some(owner)
}

fn delete(socket: &mut Socket, link: &Link) -> Result<()> {
    let mut batch = Batch::default();
    route::push_delete(&mut batch, link.index, &link.name);
    match socket.request(&mut batch) {
        Err(error) if error.errno() == Some(Errno::NODEV) => Ok(()),
        result => result.map(|_| ()),
    }
}

/// `eth0.50`: the interface, and the VLAN's number (IEEE 802.1Q: 12 bits, of which the first and the last value mean
/// something else).
fn vlan(name: &str) -> Result<(&str, u16)> {
    let invalid = |why: String| Err(Error::Invalid(why));
    let parts: Vec<_> = name.split('.').collect();
    let (base, number) = match parts[..] {
        [_] => {
            return invalid(format!("invalid subinterface vlan name {name}, example formatting is eth0.10"));
        }
        [base, number] => (base, number),
        _ => {
            return invalid(format!(
                "required interface name format is: name.vlan_id, ex. eth0.10 for vlan 10, instead received {name}"
            ));
        }
    };
    let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    match number.parse::<u32>() {
        Ok(id @ 1..=4094) if digits && name.len() <= MAX_NAME_LEN => {
            Ok((base, u16::try_from(id).unwrap_or(0)))
        }
        Ok(id) if digits && name.len() <= MAX_NAME_LEN => {
            invalid(format!("vlan id must be between 1-4094, received: {id}"))
        }
        Ok(_) if digits => {
            invalid(format!("invalid subinterface vlan name {name}: longer than {MAX_NAME_LEN} bytes"))
        }
        _ => invalid(format!("unable to parse a valid vlan id from: {name} (ex. eth0.10 for vlan 10)")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_vlan_says_its_number() {
        assert_eq!(vlan("eth0.50").expect("vlan"), ("eth0", 50));
        for (wrong, why) in [
            ("eth7", "invalid subinterface vlan name eth7, example formatting is eth0.10"),
            ("eth0.0", "vlan id must be between 1-4094, received: 0"),
            ("eth0.4095", "vlan id must be between 1-4094, received: 4095"),
            ("eth0.1.2", "required interface name format is: name.vlan_id"),
            ("eth0.x", "unable to parse a valid vlan id from: eth0.x"),
            ("eth0.+5", "unable to parse a valid vlan id from"),
            ("eth0.", "unable to parse a valid vlan id from"),
            ("interface0123.1", ""),
            ("interface01234.1", "longer than 15"),
        ] {
            match vlan(wrong) {
                Ok(_) => assert_eq!(why, "", "{wrong}"),
                Err(error) => assert!(!why.is_empty() && error.to_string().contains(why), "{wrong}: {error}"),
            }
        }
    }
}
