//! The options of networks whose containers stand on an interface of the host's: macvlan and ipvlan.

use std::collections::BTreeMap;

use super::bridge::{interface_prefix, mtu};
use super::foreign;
use crate::error::{Error, Result};
use crate::route::{IpvlanFlag, IpvlanMode, MacvlanMode, Manner};

/// A network's options, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    /// Name of the host's interface; without one the network is closed.
    pub(crate) parent: Option<String>,
    /// How containers stand on it.
    pub(crate) manner: Manner,
    /// Largest packet.
    pub(crate) mtu: Option<u32>,
    /// How interfaces in containers are called, before their number.
    pub(crate) interface: String,
}

impl Options {
    /// Containers reach their own parent's only by way of a router: there is no gateway on their segment.
    pub(crate) fn routed(&self) -> bool {
        matches!(self.manner, Manner::Ipvlan(IpvlanMode::L3 | IpvlanMode::L3s, _))
    }
}

/// Reads the options of a network of one of these drivers; `None` for any other.
pub(crate) fn read(driver: &str, options: &BTreeMap<String, String>) -> Result<Option<Options>> {
    match driver {
        "macvlan" => macvlan(options).map(Some),
        "ipvlan" => ipvlan(options).map(Some),
        _ => Ok(None),
    }
}

/// Reads the options of a network of the driver `macvlan`.
fn macvlan(options: &BTreeMap<String, String>) -> Result<Options> {
    let mode = match value(options, "macvlan_mode") {
        "" | "bridge" => MacvlanMode::Bridge,
        "private" => MacvlanMode::Private,
        "vepa" => MacvlanMode::Vepa,
        "passthru" => MacvlanMode::Passthru,
        other => {
            return Err(Error::Invalid(format!(
                "requested macvlan mode '{}' is not valid, 'bridge' mode is the macvlan driver default",
                shown(other)
            )));
        }
    };
    common("macvlan", Manner::Macvlan(mode), &["macvlan_mode"], options)
}

/// Reads the options of a network of the driver `ipvlan`.
fn ipvlan(options: &BTreeMap<String, String>) -> Result<Options> {
    let mode = match value(options, "ipvlan_mode") {
        "" | "l2" => IpvlanMode::L2,
        "l3" => IpvlanMode::L3,
        "l3s" => IpvlanMode::L3s,
        other => {
            return Err(Error::Invalid(format!(
                "requested ipvlan mode '{}' is not valid, 'l2' mode is the ipvlan driver default",
                shown(other)
            )));
        }
    };
    let flag = match value(options, "ipvlan_flag") {
        "" | "bridge" => IpvlanFlag::Bridge,
        "private" => IpvlanFlag::Private,
        "vepa" => IpvlanFlag::Vepa,
        other => {
            return Err(Error::Invalid(format!(
                "requested ipvlan flag '{}' is not valid, 'bridge' is the ipvlan driver default",
                shown(other)
            )));
        }
    };
    common("ipvlan", Manner::Ipvlan(mode, flag), &["ipvlan_mode", "ipvlan_flag"], options)
}

fn common(driver: &str, manner: Manner, own: &[&str], options: &BTreeMap<String, String>) -> Result<Options> {
    let mut read = Options { parent: None, manner, mtu: None, interface: "eth".to_owned() };
    for (key, value) in options {
        match key.as_str() {
            "parent" if value.is_empty() => {}
            "parent" if value == "lo" => {
                return Err(Error::Invalid(format!(
                    "loopback interface is not a valid {driver} parent link"
                )));
            }
            "parent" => read.parent = Some(parent(value)?),
            "com.docker.network.driver.mtu" => read.mtu = mtu(key, value)?,
            "com.docker.network.container_iface_prefix" => read.interface = interface_prefix(value)?,
            key if own.contains(&key) => {}
            key => foreign(driver, key, value)?,
        }
    }
    Ok(read)
}

/// A name that an interface can have (`dev_valid_name`).
fn parent(name: &str) -> Result<String> {
    let bad = name.len() > crate::config::MAX_NAME_LEN
        || matches!(name, "." | "..")
        || name.bytes().any(|b| matches!(b, b'/' | b':' | b'%') || !b.is_ascii_graphic());
    if bad {
        return Err(Error::Invalid(format!("invalid parent interface name: {:?}", shown(name))));
    }
    Ok(name.to_owned())
}

fn value<'o>(options: &'o BTreeMap<String, String>, key: &str) -> &'o str {
    options.get(key).map_or("", String::as_str)
}

fn shown(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn options_are_read_in_dockers_words() {
        let read = macvlan(&options(&[("parent", "eth0.50"), ("macvlan_mode", "vepa")])).expect("read");
        assert_eq!(read.parent.as_deref(), Some("eth0.50"));
        assert_eq!(read.manner, Manner::Macvlan(MacvlanMode::Vepa));
        assert_eq!(macvlan(&options(&[])).expect("none").manner, Manner::Macvlan(MacvlanMode::Bridge));
        let read = ipvlan(&options(&[("ipvlan_mode", "l3"), ("ipvlan_flag", "private")])).expect("read");
        assert_eq!(read.manner, Manner::Ipvlan(IpvlanMode::L3, IpvlanFlag::Private));
        assert!(read.routed() && read.parent.is_none());
        assert!(macvlan(&options(&[("com.example.of-a-tool", "x")])).is_ok());
    }

    #[test]
    fn what_has_no_effect_or_no_meaning_is_refused() {
        let refused = |pair| macvlan(&options(&[pair])).expect_err(pair.0).to_string();
        assert_eq!(
            refused(("macvlan_mode", "hub")),
            "requested macvlan mode 'hub' is not valid, 'bridge' mode is the macvlan driver default"
        );
        assert_eq!(refused(("parent", "lo")), "loopback interface is not a valid macvlan parent link");
        assert!(refused(("parent", "../eth0")).contains("invalid parent interface name"));
        assert!(refused(("parent", "interface-too-long")).contains("invalid parent interface name"));
        assert!(refused(("ipvlan_mode", "l2")).contains("ipvlan_mode=l2 is not supported"));
        assert!(refused(("com.docker.network.bridge.name", "br0")).contains("driver macvlan"));
        let refused = |pair| ipvlan(&options(&[pair])).expect_err(pair.0).to_string();
        assert!(refused(("ipvlan_mode", "l4")).contains("'l2' mode is the ipvlan driver default"));
        assert!(refused(("ipvlan_flag", "x")).contains("'bridge' is the ipvlan driver default"));
    }
}
