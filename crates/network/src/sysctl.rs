//! The few kernel switches that no netlink message sets. All of them belong to the network
//! namespace of the calling thread.

use std::io::ErrorKind;

use crate::error::{Error, Result};
use crate::netns::errno;

/// The switch for IPv4 forwarding.
const FORWARDING: &str = "/proc/sys/net/ipv4/ip_forward";

/// Whether IPv4 packets are forwarded.
pub(crate) fn forwarding() -> bool {
    std::fs::read(FORWARDING).is_ok_and(|value| value.first() == Some(&b'1'))
}

/// Switches on IPv4 forwarding. To be called only when it is off, as it resets the settings of
/// every interface to a router's.
pub(crate) fn enable_forwarding() -> Result<()> {
    set(FORWARDING, "1")
}

/// Switches it off again.
pub(crate) fn disable_forwarding() -> Result<()> {
    set(FORWARDING, "0")
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
    match set(&format!("/proc/sys/net/ipv6/conf/{interface}/disable_ipv6"), "1") {
        Err(error) if error.errno() == Some(rustix::io::Errno::NOENT) => Ok(()),
        result => result,
    }
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
