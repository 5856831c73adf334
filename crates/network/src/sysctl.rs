//! The few kernel switches that no netlink message sets. All of them belong to the network
//! namespace of the calling thread.

use std::io::ErrorKind;

use crate::error::{Error, Result};
use crate::ipam::Family;
use crate::netns::errno;

/// The switch for forwarding.
const fn switch(family: Family) -> &'static str {
    match family {
        Family::V4 => "/proc/sys/net/ipv4/ip_forward",
        Family::V6 => "/proc/sys/net/ipv6/conf/all/forwarding",
    }
}

/// Whether packets of a family are forwarded.
pub(crate) fn forwarding(family: Family) -> bool {
    std::fs::read(switch(family)).is_ok_and(|value| value.first() == Some(&b'1'))
}

/// Switches on forwarding. To be called only when it is off, as it resets the settings of every
/// interface to a router's.
pub(crate) fn enable_forwarding(family: Family) -> Result<()> {
    set(switch(family), "1")
}

/// Switches it off again.
pub(crate) fn disable_forwarding(family: Family) -> Result<()> {
    set(switch(family), "0")
}

/// Whether the kernel has IPv6.
pub(crate) fn has_ipv6() -> bool {
    std::path::Path::new(switch(Family::V6)).exists()
}

/// Whether an interface listens to routers unless it forwards (`1`), always (`2`), or never (`0`).
pub(crate) fn accepts_routers(interface: &str) -> Option<u8> {
    let value = std::fs::read_to_string(conf6(interface, "accept_ra")).ok()?;
    value.trim().parse().ok()
}

/// Sets that.
pub(crate) fn set_accepts_routers(interface: &str, how: u8) -> Result<()> {
    set(&conf6(interface, "accept_ra"), &how.to_string())
}

/// Makes `interface` one on which the host has the IPv6 addresses that we give it, and no others: nobody
/// on it is listened to as a router (CVE-2020-13401), and no address waits for an answer to the question
/// who else may have it.
pub(crate) fn host_ipv6(interface: &str) -> Result<()> {
    for (name, value) in [("accept_ra", "0"), ("autoconf", "0"), ("accept_dad", "0"), ("disable_ipv6", "0")] {
        match set(&conf6(interface, name), value) {
            Err(error) if error.errno() == Some(rustix::io::Errno::NOENT) => {
                return Err(Error::Config("this kernel has no IPv6 (or it is switched off)".to_owned()));
            }
            result => result?,
        }
    }
    Ok(())
}

fn conf6(interface: &str, name: &str) -> String {
    format!("/proc/sys/net/ipv6/conf/{interface}/{name}")
}

/// What tells this boot of the machine from others; empty where the kernel doesn't say.
pub(crate) fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// Lets the host's own packets from 127.0.0.0/8 leave through `interface`.
pub(crate) fn route_loopback(interface: &str) -> Result<()> {
    set(&format!("/proc/sys/net/ipv4/conf/{interface}/route_localnet"), "1")
}

/// Keeps IPv6 off `interface`. A kernel without IPv6 has nothing to keep off.
pub(crate) fn disable_ipv6(interface: &str) -> Result<()> {
    match set(&conf6(interface, "disable_ipv6"), "1") {
        Err(error) if error.errno() == Some(rustix::io::Errno::NOENT) => Ok(()),
        result => result,
    }
}

/// The first port that every user may have (`ip_unprivileged_port_start`).
pub(crate) fn first_unprivileged_port() -> u16 {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    text.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(1024)
}

/// First and last port that the kernel gives to programs which ask for any.
pub(crate) fn ephemeral_ports() -> (u16, u16) {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut numbers = text.split_ascii_whitespace().map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(first)), Some(Ok(last))) if first <= last => (first, last),
        // ip_sysctl: the kernel's own default.
        _ => (32768, 60999),
    }
}

fn set(path: &str, value: &str) -> Result<()> {
    match std::fs::write(path, value) {
        Err(error) if error.kind() == ErrorKind::ReadOnlyFilesystem => Err(Error::Config(format!(
            "{path} must be {value} and cannot be written: /proc/sys is read-only"
        ))),
        result => result.map_err(|e| Error::system(format!("setting {path} to {value}"))(errno(&e))),
    }
}
