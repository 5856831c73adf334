//! Networks that persons make, and their records: one file each, replaced and removed durably.

mod first;

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::net::IpAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

use crate::config::{BridgeConfig, Presence};
use crate::driver::bridge::{self, Options};
use crate::driver::overlay::{self, Shared};
use crate::driver::sublink;
use crate::error::{Error, Result};
use crate::ipam::{self, Family, Pool, SubnetRequest};
use crate::layout;

/// Version of the format that is written.
const VERSION: u32 = 2;
/// Largest record that is read.
const MAX_LEN: u64 = 4 << 20;
/// Digits of the id in the name of the bridge, as Docker's.
const NAME_DIGITS: usize = 12;

/// A network that is wished for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateRequest {
    /// Its name.
    pub name: String,
    /// Its driver; empty means `bridge`.
    pub driver: String,
    /// `local`, `global`, or empty for what the driver has.
    pub scope: String,
    /// It gives IPv4 addresses.
    pub enable_ipv4: bool,
    /// It gives IPv6 addresses.
    pub enable_ipv6: bool,
    /// Its subnets, one of each family at most; a family that is on and not here gets any that is
    /// free.
    pub subnets: Vec<SubnetRequest>,
    /// Options of who gives addresses.
    pub ipam_options: BTreeMap<String, String>,
    /// No way out of it, and none in.
    pub internal: bool,
    /// Kept and shown; every container may join.
    pub attachable: bool,
    /// Swarm's routing mesh.
    pub ingress: bool,
    /// A configuration for other networks, none itself.
    pub config_only: bool,
    /// Name of the network whose configuration this one takes; empty for its own.
    pub config_from: String,
    /// Options of the driver.
    pub options: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

impl Default for CreateRequest {
    /// Docker's: a bridge with IPv4.
    fn default() -> Self {
        Self {
            name: String::new(),
            driver: String::new(),
            scope: String::new(),
            enable_ipv4: true,
            enable_ipv6: false,
            subnets: Vec::new(),
            ipam_options: BTreeMap::new(),
            internal: false,
            attachable: false,
            ingress: false,
            config_only: false,
            config_from: String::new(),
            options: BTreeMap::new(),
            labels: BTreeMap::new(),
        }
    }
}

/// A network that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Definition {
    version: u32,
    /// 64 hex digits.
    pub(crate) id: String,
    /// Its name.
    pub(crate) name: String,
    /// Milliseconds since the Unix epoch.
    pub(crate) created_ms: u64,
    /// Its driver.
    pub(crate) driver: String,
    /// `local`, or `global` when other hosts share it.
    pub(crate) scope: String,
    /// It gives IPv4 addresses.
    pub(crate) enable_ipv4: bool,
    /// It gives IPv6 addresses.
    pub(crate) enable_ipv6: bool,
    /// What was asked of its addresses, as it was asked.
    pub(crate) asked: Vec<SubnetRequest>,
    /// Its subnets: one of each family at most.
    pub(crate) pools: Vec<Pool>,
    /// As asked.
    pub(crate) ipam_options: BTreeMap<String, String>,
    /// No way out.
    pub(crate) internal: bool,
    /// As asked.
    pub(crate) attachable: bool,
    /// As asked.
    pub(crate) ingress: bool,
    /// A configuration for other networks.
    pub(crate) config_only: bool,
    /// Name of the network whose configuration it has, or empty.
    pub(crate) config_from: String,
    /// As asked.
    pub(crate) options: BTreeMap<String, String>,
    /// As asked.
    pub(crate) labels: BTreeMap<String, String>,
    /// The bridge was there before the network: it stays.
    pub(crate) external: bool,
    /// Other machines share it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) shared: Option<Shared>,
}

impl Definition {
    /// The network `request` asks for, with the addresses that were settled on.
    pub(crate) fn new(id: String, created_ms: u64, request: CreateRequest, pools: Vec<Pool>) -> Self {
        let or = |text: String, default: &str| if text.is_empty() { default.to_owned() } else { text };
        Self {
            version: VERSION,
            id,
            name: request.name,
            created_ms,
            driver: or(request.driver, "bridge"),
            scope: or(request.scope, "local"),
            enable_ipv4: request.enable_ipv4,
            enable_ipv6: request.enable_ipv6,
            asked: request.subnets.into_iter().filter(|asked| !asked.subnet.is_empty()).collect(),
            pools,
            ipam_options: request.ipam_options,
            internal: request.internal,
            attachable: request.attachable,
            ingress: request.ingress,
            config_only: request.config_only,
            config_from: request.config_from,
            options: request.options,
            labels: request.labels,
            external: false,
            shared: None,
        }
    }

    /// What was asked of a family that it has not: kept and shown, as in Docker.
    pub(crate) fn unused(&self) -> impl Iterator<Item = Pool> {
        let asked = self.asked.iter().filter_map(Pool::asked);
        asked.filter(|pool| !if pool.subnet.addr().is_ipv4() { self.enable_ipv4 } else { self.enable_ipv6 })
    }

    /// Addresses that no container gets by itself.
    pub(crate) fn reserved(&self) -> Vec<IpAddr> {
        self.pools.iter().flat_map(|pool| pool.aux.values().copied()).collect()
    }

    /// The driver's options; they were read when the network was made.
    pub(crate) fn options(&self) -> Options {
        let Some(shared) = &self.shared else { return bridge::read(&self.options).unwrap_or_default() };
        let asked = overlay::read_options(&self.options);
        let interface = asked.map_or_else(|_| Options::default().interface, |asked| asked.interface);
        Options { mtu: shared.mtu, interface, ..Options::default() }
    }

    /// How interfaces in containers are called, before their number.
    pub(crate) fn interface(&self) -> String {
        match sublink::read(&self.driver, &self.options) {
            Ok(Some(options)) => options.interface,
            _ => self.options().interface,
        }
    }

    /// Name of the bridge.
    pub(crate) fn bridge_name(&self) -> String {
        self.options().name.unwrap_or_else(|| format!("br-{}", &self.id[..NAME_DIGITS]))
    }

    /// What the bridge is to be.
    pub(crate) fn bridge(&self) -> BridgeConfig {
        let options = self.options();
        let mut bridge = BridgeConfig {
            name: self.bridge_name(),
            external: self.external,
            mtu: options.mtu,
            icc: options.icc,
            ip_masq: options.masquerade && !self.internal,
            ipv4: false,
            presence: options.presence(),
            ..BridgeConfig::default()
        };
        for pool in &self.pools {
            // Where nobody has it, the address still names the subnet.
            let isolated = bridge.presence(Family::of(&pool.subnet)) == Presence::Isolated;
            let gateway = pool.gateway.or_else(|| isolated.then(|| ipam::first(pool.subnet, None)));
            match (pool.subnet, gateway) {
                (IpNet::V4(subnet), Some(IpAddr::V4(gateway))) => {
                    bridge.ipv4 = true;
                    bridge.bip = Ipv4Net::new(gateway, subnet.prefix_len()).ok();
                    bridge.fixed_cidr = pool.ip_range.and_then(v4);
                    bridge.default_gateway = match pool.aux.get("DefaultGatewayIPv4") {
                        Some(IpAddr::V4(gateway)) => Some(*gateway),
                        _ => None,
                    };
                }
                (IpNet::V6(subnet), Some(IpAddr::V6(gateway))) => {
                    bridge.ipv6 = true;
                    bridge.bip6 = Ipv6Net::new(gateway, subnet.prefix_len()).ok();
                    bridge.fixed_cidr6 = pool.ip_range.and_then(v6);
                    bridge.default_gateway6 = match pool.aux.get("DefaultGatewayIPv6") {
                        Some(IpAddr::V6(gateway)) => Some(*gateway),
                        _ => None,
                    };
                }
                _ => {}
            }
        }
        bridge
    }

    /// Writes the record durably.
    pub(crate) fn write(&self, data_dir: &Path) -> Result<()> {
        let dir = layout::user(data_dir);
        let failed = |source| Error::Record { path: dir.clone(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(failed)?;
        let text = serde_json::to_vec(self).map_err(|error| failed(error.into()))?;
        let directory = File::open(&dir).map_err(failed)?;
        sys::file::write_durable(&directory, layout::definition(&self.id), &text, 0o600).map_err(failed)
    }

    /// Removes the record durably. That there is none is no error.
    pub(crate) fn remove(&self, data_dir: &Path) -> Result<()> {
        let dir = layout::user(data_dir);
        let failed = |source| Error::Record { path: dir.clone(), source };
        match fs::remove_file(dir.join(layout::definition(&self.id))) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            removed => removed.map_err(failed)?,
        }
        File::open(&dir).and_then(|directory| directory.sync_all()).map_err(failed)
    }
}

/// Every record in `data_dir`, and the paths of those that cannot be read: such a network is left alone.
pub(crate) fn read_all(data_dir: &Path) -> Result<(Vec<Definition>, Vec<PathBuf>)> {
    let dir = layout::user(data_dir);
    let failed = |source| Error::Record { path: dir.clone(), source };
    let entries = match fs::read_dir(&dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Default::default()),
        entries => entries.map_err(failed)?,
    };
    let (mut read, mut unreadable) = (Vec::new(), Vec::new());
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(id) = layout::id_of(&name) else {
            // What a write that was cut short has left; when it stays it does no harm.
            let _ = if name.starts_with('.') { fs::remove_file(entry.path()) } else { Ok(()) };
            continue;
        };
        match read_one(&entry.path()) {
            Ok(network) if network.id == id && network.version == VERSION => read.push(network),
            _ => unreadable.push(entry.path()),
        }
    }
    Ok((read, unreadable))
}

fn read_one(path: &Path) -> io::Result<Definition> {
    let mut text = Vec::new();
    File::open(path)?.take(MAX_LEN).read_to_end(&mut text)?;
    Ok(parse(&text)?)
}

/// A record of this format or an earlier one. It is written anew only when it changes.
fn parse(text: &[u8]) -> serde_json::Result<Definition> {
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    match serde_json::from_slice::<Version>(text)?.version {
        1 => serde_json::from_slice::<first::Definition>(text).map(Definition::from),
        _ => serde_json::from_slice(text),
    }
}

const fn v4(net: IpNet) -> Option<Ipv4Net> {
    match net {
        IpNet::V4(net) => Some(net),
        IpNet::V6(_) => None,
    }
}

const fn v6(net: IpNet) -> Option<Ipv6Net> {
    match net {
        IpNet::V4(_) => None,
        IpNet::V6(net) => Some(net),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network() -> Definition {
        let request = CreateRequest { name: "web".into(), internal: true, ..CreateRequest::default() };
        let pool = Pool {
            subnet: "10.1.0.0/16".parse().expect("subnet"),
            ip_range: None,
            gateway: Some("10.1.0.1".parse().expect("ip")),
            aux: BTreeMap::new(),
        };
        Definition::new("ab".repeat(32), 7, request, vec![pool])
    }

    #[test]
    fn records_are_found_again_until_they_are_removed() {
        let dir = tempfile::tempdir().expect("tempdir");
        assert_eq!(read_all(dir.path()).expect("none"), (vec![], vec![]));
        let network = network();
        network.write(dir.path()).expect("written");
        network.write(dir.path()).expect("written again");
        assert_eq!(read_all(dir.path()).expect("one"), (vec![network.clone()], vec![]));
        network.remove(dir.path()).expect("removed");
        network.remove(dir.path()).expect("twice");
        assert_eq!(read_all(dir.path()).expect("none"), (vec![], vec![]));
    }

    #[test]
    fn what_cannot_be_read_is_told_and_left_alone() {
        let dir = tempfile::tempdir().expect("tempdir");
        let user = layout::user(dir.path());
        fs::create_dir(&user).expect("made");
        let broken = user.join(layout::definition(&"cd".repeat(32)));
        fs::write(&broken, "{").expect("written");
        fs::write(user.join(".x.json.7.tmp"), "").expect("written");
        assert_eq!(read_all(dir.path()).expect("read"), (vec![], vec![broken]));
        assert!(!user.join(".x.json.7.tmp").exists());
    }

    /// A record as the first version wrote it.
    #[test]
    fn the_first_format_is_still_read() {
        let text = format!(
            r#"{{"version":1,"id":"{}","name":"web","created_ms":7,"driver":"bridge","asked":[{{"subnet":"10.1.0.0/16","ip_range":"","gateway":"","aux":{{}}}}],"subnet":"10.1.0.0/16","ip_range":null,"gateway":"10.1.0.1","aux":{{}},"internal":true,"attachable":false,"options":{{}},"labels":{{"a":"b"}},"external":false}}"#,
            "ab".repeat(32)
        );
        let network = parse(text.as_bytes()).expect("read");
        assert_eq!((network.bridge_name().as_str(), network.bridge().ip_masq), ("br-abababababab", false));
        let labels = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
        let asked = SubnetRequest { subnet: "10.1.0.0/16".into(), ..SubnetRequest::default() };
        assert_eq!(network, Definition { labels, asked: vec![asked], ..self::network() });
    }

    /// A record as this version writes it.
    #[test]
    fn the_second_format_is_read() {
        let text = format!(
            r#"{{"version":2,"id":"{}","name":"six","created_ms":7,"driver":"bridge","scope":"local","enable_ipv4":false,"enable_ipv6":true,"asked":[],"pools":[{{"subnet":"fd00::/64","ip_range":null,"gateway":"fd00::1","aux":{{"a":"fd00::9"}}}}],"ipam_options":{{}},"internal":false,"attachable":false,"ingress":false,"config_only":false,"config_from":"","options":{{}},"labels":{{}},"external":false}}"#,
            "ab".repeat(32)
        );
        let network = parse(text.as_bytes()).expect("read");
        assert_eq!((network.enable_ipv4, network.enable_ipv6, network.reserved().len()), (false, true, 1));
        assert_eq!(serde_json::to_string(&network).expect("written"), text);
        assert!(parse(b"{}").is_err());
    }
}
