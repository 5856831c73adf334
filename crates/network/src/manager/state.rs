//! What is known of networks and of who is on them.

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;
use std::path::Path;

use ipnet::Ipv4Net;

use crate::bridge::Bridge;
use crate::config::{BridgeConfig, Config};
use crate::definition::{self, Definition};
use crate::endpoint::Endpoint;
use crate::error::{Error, Result};
use crate::firewall::plan;
use crate::ipam::Leases;
use crate::ports::Ports;
use crate::record::Record;
use crate::sysctl;

/// Everything that one lock guards.
#[derive(Debug)]
pub(super) struct State {
    pub(super) record: Record,
    /// The record as it is on disk.
    written: Record,
    /// The bridge networks, by id: the default one and those that persons made.
    pub(super) nets: BTreeMap<String, Net>,
    /// A container's endpoints, by its id, in the order in which it joined.
    pub(super) endpoints: HashMap<String, Vec<Endpoint>>,
    pub(super) ports: Ports,
    /// Bridges whose network's record cannot be read.
    pub(super) unreadable: Vec<String>,
}

/// A bridge network.
#[derive(Debug)]
pub(super) struct Net {
    pub(super) name: String,
    pub(super) config: BridgeConfig,
    pub(super) internal: bool,
    /// Host address of published ports that name none.
    pub(super) publish_ip: Ipv4Addr,
    /// How interfaces in containers are called, before their number.
    pub(super) interface: String,
    /// How its addresses are reached, one a family.
    pub(super) gateways: [plan::Gateway; 2],
    /// Interfaces of the host from which published ports are reached by containers' own addresses.
    pub(super) trusted: Vec<String>,
    /// Addresses that no container gets by itself.
    pub(super) reserved: Vec<Ipv4Addr>,
    /// Its bridge's address, once it is known.
    pub(super) address: Option<Ipv4Net>,
    /// `None` for the default network.
    pub(super) definition: Option<Definition>,
    pub(super) up: Option<Up>,
}

/// A bridge while it is up.
#[derive(Debug)]
pub(super) struct Up {
    pub(super) bridge: Bridge,
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
            ports: Ports::default(),
            unreadable: unreadable.into_iter().filter_map(id).collect(),
        })
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

    /// A container's endpoint on a network.
    pub(super) fn endpoint(&self, container: &str, network: &str) -> Option<&Endpoint> {
        self.endpoints.get(container)?.iter().find(|endpoint| endpoint.network_id == network)
    }

    /// Id of the network that a container's default route leads through.
    pub(super) fn way_out(&self, container: &str) -> Option<String> {
        let endpoints = self.endpoints.get(container)?;
        let open = endpoints.iter().filter_map(|endpoint| {
            let net = self.nets.get(&endpoint.network_id).filter(|net| !net.internal)?;
            Some((std::cmp::Reverse(endpoint.priority), net.name.as_str(), &endpoint.network_id))
        });
        open.min().map(|(_, _, id)| id.clone())
    }

    /// What the firewall is to know of the bridges that are up, and of the one that comes up.
    pub(super) fn rules(&self, coming: Option<&str>) -> Vec<plan::Bridge> {
        let up = self.nets.iter().filter(|(id, net)| net.up.is_some() || Some(id.as_str()) == coming);
        up.filter_map(|(_, net)| {
            Some(plan::Bridge {
                name: net.config.name.clone(),
                subnets: vec![plan::Subnet {
                    net: net.address?.trunc().into(),
                    gateway: net.gateways[0],
                    masquerade: net.config.ip_masq && net.gateways[0] != plan::Gateway::Routed,
                }],
                icc: net.config.icc,
                internal: net.internal,
                trusted: net.trusted.clone(),
            })
        })
        .collect()
    }

    /// The firewall's elements for an endpoint's ports.
    pub(super) fn elements(&self, container_id: &str, endpoint: &Endpoint) -> Vec<plan::Element> {
        let net = self.nets.get(&endpoint.network_id);
        let target = plan::Target {
            ip: Some(endpoint.ip),
            routed: net
                .map_or([false; 2], |net| net.gateways.map(|gateway| gateway == plan::Gateway::Routed)),
            trusted: net.is_some_and(|net| !net.trusted.is_empty()),
            ..plan::Target::default()
        };
        plan::elements(&endpoint.ports, &target, container_id)
    }

    /// The interfaces between which nothing was forwarded before we came.
    pub(super) fn uplinks(&self) -> &[String] {
        let ours = self.record.forwarding.as_ref().filter(|f| f.boot_id == sysctl::boot_id());
        ours.map_or(&[], |forwarding| forwarding.uplinks.as_slice())
    }
}

impl Net {
    fn default_bridge(record: &Record, config: &Config) -> Self {
        Self {
            name: "bridge".to_owned(),
            config: config.bridge.clone(),
            internal: false,
            publish_ip: config.publish_ip,
            interface: "eth".to_owned(),
            gateways: [plan::Gateway::Nat; 2],
            trusted: Vec::new(),
            reserved: Vec::new(),
            address: config.bridge.bip.or(record.bridge_address),
            definition: None,
            up: None,
        }
    }

    pub(super) fn of(network: Definition, config: &Config) -> Self {
        let options = network.options();
        let bridge = network.bridge();
        Self {
            name: network.name.clone(),
            internal: network.internal,
            publish_ip: options.publish_ip.unwrap_or(config.publish_ip),
            interface: options.interface,
            gateways: options.gateways,
            trusted: options.trusted,
            reserved: network.aux.values().copied().collect(),
            address: bridge.bip,
            config: bridge,
            definition: Some(network),
            up: None,
        }
    }
}
