//! `80/tcp` and `8000-8010`: ports as Docker writes them, and in records many in a row as one ([`oci::ports`]).

use std::collections::{BTreeMap, BTreeSet};

use oci::ports::{Binding, each_of_set, fold};

use super::PortBinding;
use crate::error::{Error, Result};

/// A port range and its protocol: `80/tcp`, `8000-8010/udp`, `80` (tcp).
///
/// # Errors
/// It is none of that.
pub(crate) fn parse(text: &str) -> Result<(u16, u16, &str)> {
    oci::ports::parse(text).map_err(|error| Error::bad_parameter(error.to_string()))
}

impl Binding for PortBinding {
    fn host_ip(&self) -> &str {
        &self.host_ip
    }

    fn host_port(&self) -> &str {
        &self.host_port
    }

    fn with_port(&self, host_port: String) -> Self {
        Self { host_ip: self.host_ip.clone(), host_port }
    }
}

/// Folds a set of ports.
pub(crate) fn fold_set(ports: &mut BTreeSet<String>) {
    let all: BTreeMap<_, _> = std::mem::take(ports).into_iter().map(|port| (port, ())).collect();
    *ports = fold(all).into_keys().collect();
}

/// Every port of a set, as it was asked for.
pub(crate) fn apart_set(ports: &BTreeSet<String>) -> BTreeSet<String> {
    each_of_set(ports).map(|port| port.to_string()).collect()
}
