//! What is known of networks and of who is on them.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use ipnet::IpNet;

use super::overlay::Cluster;
use crate::config::{BridgeConfig, Config, PublishMode};
use crate::definition::{self, Definition};
use crate::driver::{Driver, Segment};
use crate::endpoint::Endpoint;
use crate::error::{Error, Result};
use crate::firewall::plan;
use crate::ipam::{Family, Leases};
use crate::ports::Ports;
use crate::record::Record;
use crate::sysctl;

/// Everything that one lock guards.
#[derive(Debug)]
pub(super) struct State {
    pub(super) record: Record,
    /// The record as it is on disk.
    written: Record,
    /// The networks that containers join, by id: the default one and those that persons made.
    pub(super) nets: BTreeMap<String, Net>,
    /// A container's endpoints, by its id, in the order in which it joined.
    pub(super) endpoints: HashMap<String, Vec<Endpoint>>,
    pub(super) ports: Ports,
    /// Namespaces of containers that stand on an interface of the host's: theirs must be taken out
    /// of them by name when they end, as somebody else may hold the namespace, and none can come
    /// with the same hardware address while they are there.
    pub(super) held: HashMap<String, OwnedFd>,
    /// What is told of other machines.
    pub(super) cluster: Cluster,
    /// IPv6 packets are not filtered and not translated (`--ip6tables=false`).
    unfiltered6: bool,
    /// Bridges whose network's record cannot be read.
    pub(super) unreadable: Vec<String>,
}

/// A network.
#[derive(Debug)]
pub(super) struct Net {
    pub(super) name: String,
    pub(super) driver: Driver,
    pub(super) internal: bool,
    /// Host address of published ports that name none.
    pub(super) publish_ip: IpAddr,
    /// How the way to published ports leads through the host's own firewall.
    pub(super) publish_mode: PublishMode,
    /// How interfaces in containers are called, before their number.
    pub(super) interface: String,
    /// How its addresses are reached, one a family.
    pub(super) gateways: [plan::Gateway; 2],
    /// Interfaces of the host from which published ports are reached by containers' own addresses.
    pub(super) trusted: Vec<String>,
    /// Addresses that no container gets by itself.
    pub(super) reserved: Vec<IpAddr>,
    /// Its subnets, once they are known.
    pub(super) subnets: Vec<IpNet>,
    /// `None` for the default network.
    pub(super) definition: Option<Definition>,
    pub(super) up: Option<Up>,
}

/// Ids of the networks that a container's default routes lead through, one a family.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct WaysOut([Option<String>; 2]);

impl WaysOut {
    /// Where its ports are published: where IPv4 leads out, or else where IPv6 does.
    pub(super) fn bearer(&self) -> Option<&str> {
        self.0.iter().flatten().map(String::as_str).next()
    }

    /// The network that a family leads out through.
    pub(super) fn of(&self, family: Family) -> Option<&str> {
        self.0[family.index()].as_deref()
    }

    /// The gateways that lead out through this endpoint.
    pub(super) fn through(&self, endpoint: &Endpoint) -> Vec<IpAddr> {
        let leads = |ip: &IpAddr| self.of(Family::of_address(*ip)) == Some(endpoint.network_id.as_str());
        endpoint.gateways().filter(leads).collect()
    }
}

/// A network while it is up.
#[derive(Debug)]
pub(super) struct Up {
    pub(super) segment: Segment,
    pub(super) leases: Leases,
    /// The host's loopback may already reach published ports.
    pub(super) loopback_routed: bool,
}

impl State {
    pub(super) fn open(config: &Config) -> Result<Self> {
        let record = Record::open(&config.data_dir)?;
        let (definitions, unreadable) = definition::read_all(&config.data_dir)?;
        for path in &unreadable {
            tracing::error!(path = %path.display(), "a network's record cannot be read: it is left alone");
        }
        let mut nets: BTreeMap<_, _> =
            definitions.into_iter().map(|network| (network.id.clone(), Net::of(network, config))).collect();
        nets.insert(record.bridge.id.clone(), Net::default_bridge(&record, config));
        let id =
            |path: std::path::PathBuf| path.file_stem()?.to_str()?.get(..12).map(|id| format!("br-{id}"));
        Ok(Self {
            written: record.clone(),
            record,
            nets,
            endpoints: HashMap::new(),
            ports: Ports::new(config.host_ports.clone()),
            held: HashMap::new(),
            cluster: Cluster::default(),
            unfiltered6: !config.firewall6,
            unreadable: unreadable.into_iter().filter_map(id).collect(),
        })
    }

    /// Notes the addresses that the default bridge has got.
    pub(super) fn note_addresses(&mut self, segment: &Segment) {
        for side in &segment.sides {
            let address = side.host.and_then(|ip| IpNet::new(ip, side.subnet.prefix_len()).ok());
            match address {
                Some(IpNet::V4(address)) => self.record.bridge_address = Some(address),
                Some(IpNet::V6(address)) => self.record.bridge_address6 = Some(address),
                None => {}
            }
        }
    }

    /// Writes the record, if it has changed.
    pub(super) fn write_record(&mut self, data_dir: &Path) -> Result<()> {
        if self.record != self.written {
            self.record.write(data_dir)?;
            self.written = self.record.clone();
        }
        Ok(())
    }

    pub(super) fn net(&self, id: &str) -> Result<&Net> {
        self.nets.get(id).ok_or_else(|| Error::NoSuchNetwork(id.to_owned()))
    }

    pub(super) fn net_mut(&mut self, id: &str) -> Result<&mut Net> {
        self.nets.get_mut(id).ok_or_else(|| Error::NoSuchNetwork(id.to_owned()))
    }

    /// All endpoints, with their containers.
    pub(super) fn placed(&self) -> impl Iterator<Item = (&str, &Endpoint)> {
        let each = |(container, endpoints)| (String::as_str(container), Vec::as_slice(endpoints));
        self.endpoints.iter().map(each).flat_map(|(container, all): (&str, &[Endpoint])| {
            all.iter().map(move |endpoint| (container, endpoint))
        })
    }

    /// Keeps a container's namespace, if an interface of it is to be taken out at its end.
    pub(super) fn hold(&mut self, container: &str, netns: impl AsFd) -> Result<()> {
        let endpoints = self.endpoints.get(container).map_or(&[][..], Vec::as_slice);
        if endpoints.iter().any(|endpoint| endpoint.host_interface.is_empty())
            && !self.held.contains_key(container)
        {
            let kept = netns.as_fd().try_clone_to_owned();
            let kept =
                kept.map_err(|error| Error::system("keeping a namespace")(crate::netns::errno(&error)))?;
            self.held.insert(container.to_owned(), kept);
        }
        Ok(())
    }

    /// A container's endpoint on a network.
    pub(super) fn endpoint(&self, container: &str, network: &str) -> Option<&Endpoint> {
        self.endpoints.get(container)?.iter().find(|endpoint| endpoint.network_id == network)
    }

    /// The networks that a container's default routes lead through.
    pub(super) fn ways_out(&self, container: &str) -> WaysOut {
        let endpoints = self.endpoints.get(container).map_or(&[][..], Vec::as_slice);
        let way = |family| {
            let leading =
                endpoints.iter().filter(|end| end.gateways().any(|ip| Family::of_address(ip) == family));
            let open = leading.filter_map(|endpoint| {
                let net = self.nets.get(&endpoint.network_id).filter(|net| !net.internal)?;
                Some((std::cmp::Reverse(endpoint.priority), net.name.as_str(), &endpoint.network_id))
            });
            open.min().map(|(_, _, id)| id.clone())
        };
        WaysOut(Family::ALL.map(way))
    }

    /// What the firewall is to know of the bridges: of all of them, whether they are up or not, so that a daemon which
    /// takes one after the other over leaves none open meanwhile.
    pub(super) fn rules(&self) -> Vec<plan::Bridge> {
        let rule = |net: &Net| {
            let bridge = net.driver.bridge()?;
            Some(plan::Bridge {
                name: bridge.name.clone(),
                subnets: net
                    .subnets
                    .iter()
                    .filter(|subnet| matches!(subnet, IpNet::V4(_)) || !self.unfiltered6)
                    .map(|subnet| net.rule(*subnet, bridge.ip_masq))
                    .collect(),
                unfiltered6: self.unfiltered6,
                icc: bridge.icc,
                internal: net.internal,
                trusted: net.trusted.clone(),
            })
        };
        self.nets.values().filter(|net| !net.subnets.is_empty()).filter_map(rule).collect()
    }

    /// The firewall's elements for an endpoint's ports.
    pub(super) fn elements(&self, container_id: &str, endpoint: &Endpoint) -> Vec<plan::Element> {
        let net = self.nets.get(&endpoint.network_id);
        let target = plan::Target {
            ip: endpoint.ip,
            ip6: endpoint.ip6.filter(|_| !self.unfiltered6),
            routed: net
                .map_or([false; 2], |net| net.gateways.map(|gateway| gateway == plan::Gateway::Routed)),
            trusted: net.is_some_and(|net| !net.trusted.is_empty()),
        };
        let mut elements = plan::elements(&endpoint.ports, &target, container_id);
        if net.is_some_and(|net| net.publish_mode == PublishMode::Input) {
            elements.retain(|element| element.map.way == plan::Way::Routed);
        }
        elements
    }

    /// The interfaces between which nothing was forwarded before we came, one list a family.
    pub(super) fn all_uplinks(&self) -> [&[String]; 2] {
        Family::ALL.map(|family| self.uplinks(family))
    }

    /// Those of a family.
    fn uplinks(&self, family: Family) -> &[String] {
        let ours = self.record.forwarding(family).filter(|f| f.boot_id == sysctl::boot_id());
        ours.map_or(&[], |forwarding| forwarding.uplinks.as_slice())
    }
}

impl Net {
    /// What goes from machine to machine is encrypted.
    pub(super) fn encrypted(&self) -> bool {
        self.driver.overlay().is_some_and(|overlay| overlay.shared.encrypted)
    }

    fn default_bridge(record: &Record, config: &Config) -> Self {
        Self {
            name: "bridge".to_owned(),
            driver: Driver::Bridge(config.bridge.clone()),
            internal: false,
            publish_ip: config.publish_ip,
            publish_mode: mode(config, None),
            interface: "eth".to_owned(),
            gateways: [plan::Gateway::Nat; 2],
            trusted: Vec::new(),
            reserved: Vec::new(),
            subnets: default_subnets(record, &config.bridge),
            definition: None,
            up: None,
        }
    }

    pub(super) fn of(network: Definition, config: &Config) -> Self {
        let options = network.options();
        let driver = Driver::of(&network);
        Self {
            name: network.name.clone(),
            internal: network.internal || driver.closed(),
            publish_ip: options.publish_ip.unwrap_or(config.publish_ip),
            publish_mode: mode(config, options.publish_mode),
            interface: network.interface(),
            gateways: options.gateways,
            trusted: options.trusted,
            reserved: network.reserved(),
            subnets: network.pools.iter().map(|pool| pool.subnet).collect(),
            driver,
            definition: Some(network),
            up: None,
        }
    }

    /// What the firewall is to know of one of its subnets.
    fn rule(&self, subnet: IpNet, masquerade: bool) -> plan::Subnet {
        let gateway = self.gateways[Family::of(&subnet).index()];
        plan::Subnet { net: subnet, gateway, masquerade: masquerade && gateway != plan::Gateway::Routed }
    }

    /// Name of its bridge, where it has one.
    pub(super) fn bridge_name(&self) -> Option<&str> {
        self.driver.bridge().map(|bridge| bridge.name.as_str())
    }

    /// Its containers are kept from each other.
    pub(super) fn isolated(&self) -> bool {
        self.driver.bridge().is_some_and(|bridge| !bridge.icc)
    }
}

/// What is known of the default bridge's subnets before it is up.
fn default_subnets(record: &Record, bridge: &BridgeConfig) -> Vec<IpNet> {
    let v4 = bridge.bip.or(record.bridge_address).map(|net| IpNet::V4(net.trunc()));
    let v6 = bridge.address6().or(record.bridge_address6).filter(|_| bridge.ipv6);
    v4.into_iter().chain(v6.map(|net| IpNet::V6(net.trunc()))).collect()
}

/// The mode of a network that asks for this one. Without rules of ours there is only one way.
fn mode(config: &Config, asked: Option<PublishMode>) -> PublishMode {
    match asked.unwrap_or(config.publish_mode) {
        _ if !config.firewall => PublishMode::Input,
        // from a time when it was allowed
        PublishMode::Input if !config.userland_proxy => PublishMode::Forward,
        mode => mode,
    }
}
