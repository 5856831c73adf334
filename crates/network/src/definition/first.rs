//! The first format of a network's record: a bridge with one IPv4 subnet.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};
use serde::Deserialize;

use super::{CreateRequest, Definition as Current};
use crate::ipam::{Pool, SubnetRequest};

#[derive(Debug, Deserialize)]
pub(super) struct Definition {
    id: String,
    name: String,
    created_ms: u64,
    driver: String,
    asked: Vec<SubnetRequest>,
    subnet: Ipv4Net,
    ip_range: Option<Ipv4Net>,
    gateway: Ipv4Addr,
    aux: BTreeMap<String, Ipv4Addr>,
    internal: bool,
    attachable: bool,
    options: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
    external: bool,
}

impl From<Definition> for Current {
    fn from(first: Definition) -> Self {
        let pool = Pool {
            subnet: first.subnet.into(),
            ip_range: first.ip_range.map(IpNet::V4),
            gateway: Some(first.gateway.into()),
            aux: first.aux.into_iter().map(|(name, ip)| (name, IpAddr::V4(ip))).collect(),
        };
        let request = CreateRequest {
            name: first.name,
            driver: first.driver,
            subnets: first.asked,
            internal: first.internal,
            attachable: first.attachable,
            options: first.options,
            labels: first.labels,
            ..CreateRequest::default()
        };
        let mut network = Self::new(first.id, first.created_ms, request, vec![pool]);
        network.external = first.external;
        network
    }
}
