//! The options of a bridge network (`com.docker.network.*`).

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::config::{Presence, PublishMode};
use crate::error::{Error, Result};
use crate::firewall::plan::Gateway;

/// Prefix of every option.
const PREFIX: &str = "com.docker.network.";
/// How ports are published: an option of our own, which Docker does not have.
const PUBLISH_MODE: &str = "org.berth.publish-mode";
/// Longest prefix of an interface's name in the container: a number must still fit behind it.
const MAX_PREFIX_LEN: usize = 10;

/// Trusted interfaces of a network at most: each is a rule.
const MAX_TRUSTED: usize = 32;

/// A bridge network's options, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    /// Name of the bridge's interface, when one was asked for.
    pub(crate) name: Option<String>,
    /// Containers may talk to each other.
    pub(crate) icc: bool,
    /// What leaves the network gets the host's address.
    pub(crate) masquerade: bool,
    /// Host address of published ports that name none.
    pub(crate) publish_ip: Option<IpAddr>,
    /// Largest packet.
    pub(crate) mtu: Option<u32>,
    /// How interfaces in containers are called, before their number.
    pub(crate) interface: String,
    /// How the way to published ports leads through the host's own firewall.
    pub(crate) publish_mode: Option<PublishMode>,
    /// How its addresses are reached, one a family.
    pub(crate) gateways: [Gateway; 2],
    /// Interfaces of the host from which published ports are reached by containers' own addresses.
    pub(crate) trusted: Vec<String>,
    /// The host does not take the IPv4 gateway's address: somebody else has it.
    pub(crate) inhibit4: bool,
}

impl Options {
    /// What the host has of each family's subnet.
    pub(crate) fn presence(&self) -> [Presence; 2] {
        let mut presence = self.gateways.map(|gateway| match gateway {
            Gateway::Isolated => Presence::Isolated,
            _ => Presence::Gateway,
        });
        if self.inhibit4 && presence[0] == Presence::Gateway {
            presence[0] = Presence::Absent;
        }
        presence
    }

    /// Refuses what means nothing beside the network's other settings.
    pub(crate) fn check(&self, internal: bool) -> Result<()> {
        if !internal && self.gateways.contains(&Gateway::Isolated) {
            let why = "gateway mode 'isolated' can only be used for an internal network";
            return Err(Error::Invalid(why.to_owned()));
        }
        Ok(())
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: None,
            icc: true,
            masquerade: true,
            publish_ip: None,
            mtu: None,
            interface: "eth".to_owned(),
            publish_mode: None,
            gateways: [Gateway::Nat; 2],
            trusted: Vec::new(),
            inhibit4: false,
        }
    }
}

/// Reads the options. What is unknown is refused: it would have no effect.
pub(crate) fn read(options: &BTreeMap<String, String>) -> Result<Options> {
    let mut read = Options::default();
    for (key, value) in options {
        if key == PUBLISH_MODE {
            read.publish_mode = Some(value.parse()?);
            continue;
        }
        match key.strip_prefix(PREFIX).unwrap_or_default() {
            "bridge.name" if value.is_empty() => {}
            "bridge.name" => read.name = Some(interface_name(value)?),
            "bridge.enable_icc" => read.icc = flag(key, value)?,
            "bridge.enable_ip_masquerade" => read.masquerade = flag(key, value)?,
            "bridge.host_binding_ipv4" => {
                read.publish_ip = Some(value.parse().map_err(|_not_an_ip| {
                    Error::Invalid(format!("failed to parse {key} value: {value} (nil ip)"))
                })?)
            }
            "bridge.inhibit_ipv4" => read.inhibit4 = flag(key, value)?,
            "driver.mtu" => read.mtu = mtu(key, value)?,
            "container_iface_prefix" => read.interface = interface_prefix(value)?,
            "bridge.gateway_mode_ipv4" => read.gateways[0] = gateway(key, value)?,
            "bridge.gateway_mode_ipv6" => read.gateways[1] = gateway(key, value)?,
            "bridge.trusted_host_interfaces" => read.trusted = interfaces(key, value)?,
            _ => super::foreign("bridge", key, value)?,
        }
    }
    Ok(read)
}

fn gateway(key: &str, value: &str) -> Result<Gateway> {
    match value {
        "" | "nat" => Ok(Gateway::Nat),
        "nat-unprotected" => Ok(Gateway::Unprotected),
        "routed" => Ok(Gateway::Routed),
        "isolated" => Ok(Gateway::Isolated),
        _ => {
            let shown: String = value.chars().take(64).collect();
            Err(Error::Invalid(format!("unknown gateway mode {shown} ({key})")))
        }
    }
}

/// Names with colons between them.
fn interfaces(key: &str, value: &str) -> Result<Vec<String>> {
    let names = value.split(':').filter(|name| !name.is_empty());
    let names: Vec<_> = names.map(interface_name).collect::<Result<_>>()?;
    if names.len() > MAX_TRUSTED {
        return Err(Error::Invalid(format!("{key} has more than {MAX_TRUSTED} names")));
    }
    Ok(names)
}

/// As Go's `strconv.ParseBool`.
pub(crate) fn flag(key: &str, value: &str) -> Result<bool> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(Error::Invalid(format!(
            "failed to parse {key} value: {value} (strconv.ParseBool: parsing \"{value}\": invalid syntax)"
        ))),
    }
}

/// Zero is the default.
pub(crate) fn mtu(key: &str, value: &str) -> Result<Option<u32>> {
    let wrong = || {
        Error::Invalid(format!(
            "failed to parse {key} value: {value} (strconv.Atoi: parsing \"{value}\": invalid syntax)"
        ))
    };
    match value.parse::<u32>().map_err(|_not_a_number| wrong())? {
        0 => Ok(None),
        // RFC 791: every network carries 68 bytes.
        mtu @ 68..=65535 => Ok(Some(mtu)),
        mtu => Err(Error::Invalid(format!("invalid MTU: {mtu}"))),
    }
}

pub(crate) fn interface_prefix(value: &str) -> Result<String> {
    let good = !value.is_empty()
        && value.len() <= MAX_PREFIX_LEN
        && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if good && value != "lo" {
        return Ok(value.to_owned());
    }
    Err(Error::Invalid(format!("invalid prefix of interface names: {value:?}")))
}

/// A name that the kernel takes for an interface (`dev_valid_name`).
pub(crate) fn interface_name(name: &str) -> Result<String> {
    let bad = name.is_empty()
        || name.len() > crate::config::MAX_NAME_LEN
        || matches!(name, "." | ".." | "lo" | "all" | "default")
        || name.bytes().any(|b| matches!(b, b'/' | b':' | b'%') || !b.is_ascii_graphic());
    if bad {
        let shown: String = name.chars().take(32).collect();
        return Err(Error::Invalid(format!("invalid bridge name: {shown:?}")));
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(key: &str, value: &str) -> Result<Options> {
        read(&BTreeMap::from([(format!("com.docker.network.{key}"), value.to_owned())]))
    }

    #[test]
    fn options_are_read_in_dockers_words() {
        assert_eq!(read(&BTreeMap::new()).expect("none"), Options::default());
        assert!(!one("bridge.enable_icc", "false").expect("flag").icc);
        assert_eq!(one("driver.mtu", "1400").expect("mtu").mtu, Some(1400));
        assert_eq!(one("bridge.gateway_mode_ipv6", "routed").expect("mode").gateways[1], Gateway::Routed);
        let isolated = one("bridge.gateway_mode_ipv4", "isolated").expect("mode");
        assert_eq!(isolated.presence(), [Presence::Isolated, Presence::Gateway]);
        assert!(isolated.check(true).is_ok() && isolated.check(false).is_err());
        let inhibited = one("bridge.inhibit_ipv4", "true").expect("flag");
        assert_eq!(inhibited.presence(), [Presence::Absent, Presence::Gateway]);
        let six = one("bridge.host_binding_ipv4", "::1").expect("address").publish_ip;
        assert_eq!(six, Some(std::net::Ipv6Addr::LOCALHOST.into()));
        assert_eq!(one("bridge.trusted_host_interfaces", "a:b").expect("two").trusted, ["a", "b"]);
        assert_eq!(one("driver.mtu", "0").expect("default").mtu, None);
        assert_eq!(one("bridge.name", "br0").expect("name").name.as_deref(), Some("br0"));
        assert_eq!(
            one("driver.mtu", "abc").expect_err("text").to_string(),
            "failed to parse com.docker.network.driver.mtu value: abc (strconv.Atoi: parsing \"abc\": invalid syntax)"
        );
    }

    #[test]
    fn what_has_no_effect_or_no_meaning_is_refused() {
        for (key, value) in [
            ("bridge.name", "a/b"),
            ("bridge.name", "sixteen-letters-"),
            ("bridge.name", "a b"),
            ("bridge.inhibit_ipv4", "yes"),
            ("bridge.gateway_mode_ipv6", "nats"),
            ("bridge.trusted_host_interfaces", "eth0:a/b"),
            ("container_iface_prefix", "e/h"),
            ("driver.mtu", "9"),
            ("bridge.host_binding_ipv4", "x"),
            ("colour", "red"),
        ] {
            assert!(one(key, value).is_err(), "{key}={value}");
        }
        assert!(read(&BTreeMap::from([("foo".to_owned(), "bar".to_owned())])).is_err());
    }
}
