//! The options of one container's place on a network (`com.docker.network.endpoint.*`): the name of its interface, and
//! the switches of the kernel that belong to that.

use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;

use super::bridge::interface_name;
use super::foreign;
use crate::error::{Error, Result};
use crate::netns::{errno, within};

/// The interface's name in the container.
const NAME: &str = "com.docker.network.endpoint.ifname";
/// Switches, with commas between them.
const SWITCHES: &str = "com.docker.network.endpoint.sysctls";
/// Switches at most.
const MAX_SWITCHES: usize = 64;
/// Longest value of one.
const MAX_VALUE: usize = 64;

/// An endpoint's options, read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EndpointOptions {
    /// The interface's name in the container, when one was asked for.
    pub(crate) interface: Option<String>,
    /// `net.X.Y.IFNAME.Z`.
    switches: Vec<Switch>,
}

/// A switch below `/proc/sys/net`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Switch {
    /// `ipv4`, `ipv6`, `mpls`.
    family: String,
    /// `conf` or `neigh`.
    kind: String,
    name: String,
    value: String,
}

impl EndpointOptions {
    /// Reads the options.
    ///
    /// # Errors
    /// One is wrong, or unknown and so without effect.
    pub fn read(options: &BTreeMap<String, String>) -> Result<Self> {
        let mut read = Self::default();
        for (key, value) in options {
            match key.as_str() {
                NAME if value.is_empty() => {}
                NAME => read.interface = Some(interface_name(value)?),
                SWITCHES => {
                    read.switches =
                        value.split(',').filter(|one| !one.is_empty()).map(switch).collect::<Result<_>>()?;
                }
                key => foreign("endpoint", key, value)?,
            }
        }
        if read.switches.len() > MAX_SWITCHES {
            return Err(Error::Invalid(format!("{SWITCHES} has more than {MAX_SWITCHES} switches")));
        }
        Ok(read)
    }

    /// Sets the switches of the interface called so in that namespace.
    pub(crate) fn apply(&self, netns: BorrowedFd<'_>, interface: &str) -> Result<()> {
        if self.switches.is_empty() {
            return Ok(());
        }
        within(netns, || {
            self.switches.iter().try_for_each(|Switch { family, kind, name, value }| {
                let path = format!("/proc/sys/net/{family}/{kind}/{interface}/{name}");
                let failed = |error| Error::system(format!("setting {path} to {value}"))(errno(&error));
                std::fs::write(&path, value).map_err(failed)
            })
        })
    }
}

fn switch(text: &str) -> Result<Switch> {
    let shown: String = text.chars().take(96).collect();
    let unknown = || {
        Error::Invalid(format!(
            "unrecognised network interface sysctl '{shown}'; represent 'net.X.Y.ethN.Z=V' as 'net.X.Y.IFNAME.Z=V'"
        ))
    };
    let (path, value) = text.trim().split_once('=').ok_or_else(unknown)?;
    let [net, family, kind, interface, name] = path.split('.').collect::<Vec<_>>()[..] else {
        return Err(unknown());
    };
    let word = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let known = net == "net"
        && matches!(family, "ipv4" | "ipv6" | "mpls")
        && matches!(kind, "conf" | "neigh")
        && interface.eq_ignore_ascii_case("ifname")
        && word(name)
        && value.len() <= MAX_VALUE
        && !value.chars().any(char::is_control);
    if !known {
        return Err(unknown());
    }
    let [family, kind, name, value] = [family, kind, name, value].map(str::to_owned);
    Ok(Switch { family, kind, name, value })
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;
    use crate::netns::Namespace;

    fn one(key: &str, value: &str) -> Result<EndpointOptions> {
        EndpointOptions::read(&BTreeMap::from([(key.to_owned(), value.to_owned())]))
    }

    #[test]
    fn what_has_no_effect_or_no_meaning_is_refused() {
        assert_eq!(one(NAME, "lan0").expect("name").interface.as_deref(), Some("lan0"));
        assert_eq!(one("com.example.tool", "x").expect("a tool's"), EndpointOptions::default());
        assert_eq!(one(NAME, "").expect("none"), EndpointOptions::default());
        for (key, value) in [
            (NAME, "a/b"),
            (NAME, "lo"),
            (NAME, "sixteen-letters-"),
            ("com.docker.network.endpoint.exposedports", "80"),
            ("colour", "red"),
            (SWITCHES, "net.ipv4.ip_forward=1"),
            (SWITCHES, "net.ipv4.conf.eth0.log_martians=1"),
            (SWITCHES, "net.ipv4.conf.IFNAME.log_martians"),
            (SWITCHES, "net.ipv4.conf.IFNAME./../../x=1"),
            (SWITCHES, "net.ipv4.conf.IFNAME.=1"),
            (SWITCHES, "kernel.ipv4.conf.IFNAME.x=1"),
            (SWITCHES, "net.core.conf.IFNAME.x=1"),
        ] {
            assert!(one(key, value).is_err(), "{key}={value}");
        }
    }

    #[test]
    fn switches_are_set_where_the_interface_is() {
        let options =
            one(SWITCHES, "net.ipv4.conf.IFNAME.log_martians=1,net.ipv4.neigh.ifname.gc_stale_time=77");
        let namespace = Namespace::new().expect("these tests need root");
        options.expect("read").apply(namespace.fd.as_fd(), "lo").expect("set");
        let read = |path: &str| {
            within(namespace.fd.as_fd(), || Ok(std::fs::read_to_string(path).unwrap_or_default()))
        };
        assert_eq!(read("/proc/sys/net/ipv4/conf/lo/log_martians").expect("read"), "1\n");
        assert_eq!(read("/proc/sys/net/ipv4/neigh/lo/gc_stale_time").expect("read"), "77\n");
        let wrong = one(SWITCHES, "net.ipv4.conf.IFNAME.nosuch=1").expect("read");
        assert!(wrong.apply(namespace.fd.as_fd(), "lo").expect_err("none").to_string().contains("nosuch"));
    }
}
