//! What is kept in the store. Everything read from it is hostile until checked: whoever can write there could
//! otherwise make every machine do something.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::keys::{is_host, is_id};

/// Largest number of a network (RFC 7348).
pub const MAX_VNI: u32 = (1 << 24) - 1;
/// Longest value of any key.
const MAX_VALUE: usize = 512 << 10;
/// Longest name.
const MAX_NAME: usize = 255;
/// Names of one endpoint.
const MAX_NAMES: usize = 512;
/// Bytes of labels and options.
const MAX_TEXT: usize = 64 << 10;
/// Addresses of a subnet that are not given out.
const MAX_AUX: usize = 4096;

/// A network that several machines share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// 64 hex digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Milliseconds since the Unix epoch.
    pub created_ms: u64,
    /// Its number on the wire.
    pub vni: u32,
    /// Its subnets: one for each address family in use.
    pub subnets: Vec<Subnet>,
    /// Largest packet, if one was asked for.
    #[serde(default)]
    pub mtu: Option<u32>,
    /// What goes from machine to machine is encrypted.
    #[serde(default)]
    pub encrypted: bool,
    /// No way out.
    #[serde(default)]
    pub internal: bool,
    /// As asked.
    #[serde(default)]
    pub attachable: bool,
    /// Options, as asked.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
    /// Labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// A person has chosen the subnets.
    #[serde(default)]
    pub subnet_chosen: bool,
}

/// Addresses of a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    /// The subnet.
    pub subnet: IpNet,
    /// Part of it for automatic addresses.
    #[serde(default)]
    pub ip_range: Option<IpNet>,
    /// The way out, on every machine.
    pub gateway: IpAddr,
    /// Name → an address that is not given out.
    #[serde(default)]
    pub aux: BTreeMap<String, IpAddr>,
}

/// A machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Its daemon's id.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// Where other machines reach it.
    pub address: IpAddr,
    /// The port that was advertised with it.
    #[serde(default)]
    pub port: u16,
    /// Its WireGuard public key, 64 hex digits.
    #[serde(default)]
    pub wireguard: Option<String>,
}

/// An address that somebody has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claim {
    /// The machine.
    pub host: String,
    /// The container on it, 64 hex digits.
    pub container: String,
    /// Tells this claim from an earlier one of the same container.
    pub token: String,
}

/// A container's place on a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// 64 hex digits.
    pub id: String,
    /// The machine.
    pub host: String,
    /// The container's name.
    pub name: String,
    /// Its IPv4 address.
    #[serde(default)]
    pub ip: Option<Ipv4Addr>,
    /// Its IPv6 address.
    #[serde(default)]
    pub ip6: Option<Ipv6Addr>,
    /// Its hardware address, six hex pairs with colons.
    pub mac: String,
    /// Names by which it is found.
    #[serde(default)]
    pub names: Vec<String>,
}

/// A value that we would not have written, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unfit(pub(crate) String);

fn unfit<T>(why: &str) -> Result<T, Unfit> {
    Err(Unfit(why.to_owned()))
}

/// Something that is kept as JSON.
pub(crate) trait Value: Sized + Serialize + for<'a> Deserialize<'a> {
    /// Whether we would have written it under this last part of a key.
    fn check(&self, key: &str) -> Result<(), Unfit>;

    fn read(key: &str, text: &[u8]) -> Result<Self, Unfit> {
        if text.len() > MAX_VALUE {
            return Err(Unfit(format!("it is longer than {MAX_VALUE} bytes")));
        }
        let read: Self = serde_json::from_slice(text).map_err(|error| Unfit(error.to_string()))?;
        read.check(key)?;
        Ok(read)
    }

    fn write(&self) -> Vec<u8> {
        // maps have text for keys: there is nothing that could fail
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl Value for Network {
    fn check(&self, key: &str) -> Result<(), Unfit> {
        if self.id != key || !is_id(key) {
            return unfit("its id is not that of its key");
        }
        if !is_text(&self.name) || ["bridge", "host", "none", "default"].contains(&self.name.as_str()) {
            return unfit("its name is none");
        }
        if self.vni == 0 || self.vni > MAX_VNI {
            return unfit("its number is out of bounds");
        }
        if self.mtu.is_some_and(|mtu| !(68..=65_535).contains(&mtu)) {
            return unfit("its MTU is out of bounds");
        }
        let texts = self.labels.iter().chain(&self.options);
        if texts.map(|(key, value)| key.len() + value.len()).sum::<usize>() > MAX_TEXT {
            return unfit("its labels and options are too long");
        }
        let families: BTreeSet<bool> = self.subnets.iter().map(|one| one.subnet.addr().is_ipv4()).collect();
        if self.subnets.is_empty() || families.len() != self.subnets.len() {
            return unfit("it has not one subnet for each address family");
        }
        self.subnets.iter().try_for_each(Subnet::check)
    }
}

impl Subnet {
    fn check(&self) -> Result<(), Unfit> {
        let net = self.subnet;
        let longest = net.max_prefix_len() - 2;
        if net != net.trunc() || net.prefix_len() < 8 || net.prefix_len() > longest {
            return unfit("its subnet is none");
        }
        if net.addr().is_loopback() || net.addr().is_multicast() {
            return unfit("its subnet is no machine's");
        }
        if !self.holds(self.gateway) || !self.aux.values().all(|ip| net.contains(ip)) {
            return unfit("an address lies outside of its subnet");
        }
        if self.aux.len() > MAX_AUX || self.aux.keys().any(|name| name.len() > MAX_NAME) {
            return unfit("it has too many addresses that are not given out");
        }
        match self.ip_range {
            Some(range) if !net.contains(&range) => unfit("its range lies outside of its subnet"),
            _ => Ok(()),
        }
    }

    /// Whether a machine or a container may have this address.
    pub(crate) fn holds(&self, ip: IpAddr) -> bool {
        let ends = ip == self.subnet.network() || (ip.is_ipv4() && ip == self.subnet.broadcast());
        self.subnet.contains(&ip) && !ends
    }
}

impl Network {
    /// Its addresses of one family.
    #[must_use]
    pub fn subnet(&self, v4: bool) -> Option<&Subnet> {
        self.subnets.iter().find(|one| one.subnet.addr().is_ipv4() == v4)
    }

    /// Whether a container may have this address.
    #[must_use]
    pub fn admits(&self, ip: IpAddr) -> bool {
        self.subnet(ip.is_ipv4()).is_some_and(|one| one.holds(ip) && one.gateway != ip)
    }

    /// Whether this endpoint may be one of the network's.
    pub(crate) fn takes(&self, endpoint: &Endpoint) -> bool {
        endpoint.addresses().all(|ip| self.admits(ip))
    }
}

impl Value for Host {
    fn check(&self, key: &str) -> Result<(), Unfit> {
        if self.id != key || !is_host(key) {
            return unfit("its id is not that of its key");
        }
        if self.name.len() > MAX_NAME || self.name.chars().any(char::is_control) {
            return unfit("its name is none");
        }
        let ip = self.address;
        if ip.is_unspecified() || ip.is_multicast() || ip.is_loopback() {
            return unfit("its address is no machine's");
        }
        match &self.wireguard {
            Some(key) if !is_id(key) => unfit("its key is none"),
            _ => Ok(()),
        }
    }
}

impl Value for Claim {
    fn check(&self, _key: &str) -> Result<(), Unfit> {
        let token = self.token.len() <= 64 && self.token.bytes().all(|b| b.is_ascii_alphanumeric());
        if is_host(&self.host) && is_id(&self.container) && token {
            return Ok(());
        }
        unfit("its holder is none")
    }
}

impl Value for Endpoint {
    fn check(&self, key: &str) -> Result<(), Unfit> {
        if self.id != key || !is_id(key) || !is_host(&self.host) {
            return unfit("its id is not that of its key");
        }
        if self.names.len() > MAX_NAMES
            || !is_text(&self.name)
            || !self.names.iter().all(|name| is_text(name))
        {
            return unfit("a name of it is none");
        }
        if self.ip.is_none() && self.ip6.is_none() {
            return unfit("it has no address");
        }
        if is_mac(&self.mac) { Ok(()) } else { unfit("its hardware address is none") }
    }
}

impl Endpoint {
    /// Its addresses.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.ip.map(IpAddr::V4).into_iter().chain(self.ip6.map(IpAddr::V6))
    }
}

/// A name that can be shown.
fn is_text(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAX_NAME && !name.chars().any(char::is_control)
}

/// Six pairs of hex digits that one interface can own.
fn is_mac(text: &str) -> bool {
    let pairs: Vec<_> = text.split(':').collect();
    let good = |pair: &&str| pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit());
    let first = pairs.first().and_then(|pair| u8::from_str_radix(pair, 16).ok());
    pairs.len() == 6
        && pairs.iter().all(good)
        && first.is_some_and(|first| first & 1 == 0)
        && pairs != ["00"; 6]
}

#[cfg(test)]
pub(crate) mod samples {
    use super::*;

    pub(crate) fn id(byte: u8) -> String {
        format!("{byte:02x}").repeat(32)
    }

    pub(crate) fn network(byte: u8) -> Network {
        Network {
            id: id(byte),
            name: format!("net{byte}"),
            created_ms: 7,
            vni: 4096 + u32::from(byte),
            subnets: vec![Subnet {
                subnet: format!("10.0.{byte}.0/24").parse().expect("subnet"),
                ip_range: None,
                gateway: IpAddr::V4(Ipv4Addr::new(10, 0, byte, 1)),
                aux: BTreeMap::new(),
            }],
            mtu: None,
            encrypted: false,
            internal: false,
            attachable: true,
            options: BTreeMap::new(),
            labels: BTreeMap::new(),
            subnet_chosen: false,
        }
    }

    pub(crate) fn endpoint(byte: u8, ip: [u8; 4]) -> Endpoint {
        Endpoint {
            id: id(byte),
            host: "h".into(),
            name: format!("c{byte}"),
            ip: Some(ip.into()),
            ip6: None,
            mac: format!("02:42:0a:00:00:{byte:02x}"),
            names: vec![format!("c{byte}")],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::samples::{self, endpoint, id, network};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_written_is_read() {
        let network = network(1);
        assert_eq!(Network::read(&id(1), &network.write()), Ok(network.clone()));
        let endpoint = endpoint(2, [10, 0, 1, 9]);
        assert_eq!(Endpoint::read(&id(2), &endpoint.write()), Ok(endpoint.clone()));
        assert!(network.takes(&endpoint) && !network.takes(&samples::endpoint(2, [10, 0, 2, 9])));
    }

    /// Values as the first version wrote them.
    #[test]
    fn the_first_form_is_read() {
        let text = format!(
            r#"{{"id":"{}","name":"n","created_ms":1,"vni":4096,"subnets":[{{"subnet":"10.0.0.0/24","gateway":"10.0.0.1"}}]}}"#,
            id(1)
        );
        assert_eq!(Network::read(&id(1), text.as_bytes()).map(|network| network.vni), Ok(4096));
        let text = r#"{"id":"h","name":"a","address":"192.168.1.1","port":2376,"wireguard":null}"#;
        assert_eq!(Host::read("h", text.as_bytes()).map(|host| host.port), Ok(2376));
        let text = format!(r#"{{"host":"h","container":"{}","token":"a1"}}"#, id(3));
        assert_eq!(Claim::read("", text.as_bytes()).map(|claim| claim.host), Ok("h".to_owned()));
    }

    #[test]
    fn networks_that_we_would_not_make_are_refused() {
        let refused = |change: fn(&mut Network)| {
            let mut changed = network(1);
            change(&mut changed);
            Network::read(&id(1), &changed.write()).is_err()
        };
        assert!(!refused(|_| {}));
        assert!(refused(|n| n.id = id(2)));
        assert!(refused(|n| n.name = "a\nb".into()));
        assert!(refused(|n| n.name = "bridge".into()));
        assert!(refused(|n| n.vni = 0));
        assert!(refused(|n| n.vni = 1 << 24));
        assert!(refused(|n| n.mtu = Some(1)));
        assert!(refused(|n| n.subnets.clear()));
        assert!(refused(|n| n.subnets.push(n.subnets[0].clone())));
        assert!(refused(|n| n.subnets[0].gateway = "10.9.0.1".parse().expect("ip")));
        assert!(refused(|n| n.subnets[0].gateway = "10.0.1.0".parse().expect("ip")));
        assert!(refused(|n| n.subnets[0].subnet = "10.0.1.0/31".parse().expect("net")));
        assert!(refused(|n| n.subnets[0].subnet = "0.0.0.0/0".parse().expect("net")));
        assert!(refused(|n| n.subnets[0].ip_range = Some("10.0.0.0/16".parse().expect("net"))));
        assert!(refused(|n| drop(n.labels.insert("a".into(), "b".repeat(MAX_TEXT)))));
    }

    #[test]
    fn endpoints_and_hosts_that_we_would_not_make_are_refused() {
        let refused = |change: fn(&mut Endpoint)| {
            let mut changed = endpoint(1, [10, 0, 1, 9]);
            change(&mut changed);
            Endpoint::read(&id(1), &changed.write()).is_err()
        };
        assert!(!refused(|_| {}));
        for mac in ["", "01:00:00:00:00:01", "00:00:00:00:00:00", "2:42:0a:00:00:01", "02:42:0a:00:00:0g"] {
            let changed = Endpoint { mac: mac.to_owned(), ..endpoint(1, [10, 0, 1, 9]) };
            assert!(Endpoint::read(&id(1), &changed.write()).is_err(), "{mac}");
        }
        assert!(refused(|e| e.ip = None));
        assert!(refused(|e| e.host = "a/b".into()));
        assert!(refused(|e| e.names = vec!["x".repeat(256)]));
        assert!(refused(|e| e.names = vec!["x".into(); 513]));
        let host = |address: &str| format!(r#"{{"id":"h","name":"a","address":"{address}","port":0}}"#);
        assert!(Host::read("h", host("10.0.0.1").as_bytes()).is_ok());
        for wrong in ["127.0.0.1", "0.0.0.0", "224.0.0.1", "x"] {
            assert!(Host::read("h", host(wrong).as_bytes()).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_value_is_a_reason_to_panic(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Network::read("x", &text);
            let _ = Host::read("x", &text);
            let _ = Claim::read("x", &text);
            let _ = Endpoint::read("x", &text);
        }

        #[test]
        fn no_network_is_a_reason_to_panic(address in any::<[u8; 4]>(), len in 0u8..=32, gateway in any::<[u8; 4]>(), vni in any::<u32>()) {
            let text = format!(
                r#"{{"id":"{0}","name":"n","created_ms":1,"vni":{vni},"subnets":[{{"subnet":"{1}/{len}","gateway":"{2}"}}]}}"#,
                id(1), Ipv4Addr::from(address), Ipv4Addr::from(gateway)
            );
            if let Ok(read) = Network::read(&id(1), text.as_bytes()) {
                prop_assert!(read.subnets[0].subnet.contains(&read.subnets[0].gateway));
            }
        }
    }
}
