//! What the daemon was told of the store, checked, and made an entry of this machine's.

use std::net::SocketAddr;
use std::sync::Mutex;

use ::cluster::{Advertise, Cluster, Host, Options, StoreOptions};

use super::Part;
use crate::config::ClusterConfig;
use crate::error::{Error, Result};
use crate::layout::Layout;

impl ClusterConfig {
    /// Whether it makes sense, before anything is opened.
    ///
    /// # Errors
    /// Names the option, and what is wrong with it.
    pub fn check(&self) -> Result<()> {
        self.read().map(drop)
    }

    fn read(&self) -> Result<Option<(StoreOptions, Advertise)>> {
        let bad = |error: ::cluster::Error| Error::bad_parameter(error.to_string()).with_source(error);
        if self.store.is_empty() {
            if !self.advertise.is_empty() {
                return Err(Error::bad_parameter(
                    "invalid cluster configuration: --cluster-advertise must be accompanied by --cluster-store",
                ));
            }
            if !self.options.is_empty() {
                return Err(Error::bad_parameter(
                    "invalid cluster configuration: --cluster-store-opt must be accompanied by --cluster-store",
                ));
            }
            return Ok(None);
        }
        let store = StoreOptions::parse(&self.store, &self.options).map_err(bad)?;
        if self.advertise.is_empty() {
            return Err(Error::bad_parameter(
                "invalid cluster configuration: --cluster-store needs --cluster-advertise=IP:PORT or INTERFACE:PORT, \
                 where other hosts reach this one",
            ));
        }
        Ok(Some((store, Advertise::parse(&self.advertise).map_err(bad)?)))
    }
}

/// Opens this daemon's part in a cluster, if it has one; speaks to nobody yet.
///
/// # Errors
/// The options make no sense; the advertised interface has no address; certificates can't be read.
pub(crate) fn open(
    config: &ClusterConfig,
    id: &str,
    network: &::network::Network,
    layout: &Layout,
) -> Result<Option<Part>> {
    let Some((store, advertise)) = config.read()? else { return Ok(None) };
    let unknown = |error| Error::because("cluster-advertise", error);
    let (address, port) = match advertise {
        Advertise::Address(address) => (address.ip(), address.port()),
        Advertise::Interface { name, port } => (network.interface_address(&name).map_err(unknown)?, port),
    };
    let key = network.wireguard_key().map_err(|error| Error::because("WireGuard key", error))?;
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let host = Host { id: id.to_owned(), name, address, port, wireguard: key.map(hex::encode) };
    let options = Options { store, host, record_dir: layout.cluster() };
    let (cluster, lost) =
        Cluster::open(options).map_err(|error| Error::because("open the cluster store", error))?;
    let advertise = SocketAddr::new(address, port).to_string();
    Ok(Some(Part {
        cluster,
        advertise,
        applied: tokio::sync::watch::Sender::new(0),
        lost: Mutex::new(Some(lost)),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(store: &str, advertise: &str, options: &[(&str, &str)]) -> Option<String> {
        let options = options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let config = ClusterConfig { store: store.into(), advertise: advertise.into(), options };
        config.check().err().map(|error| error.to_string())
    }

    #[test]
    fn options_that_make_no_sense_together_are_refused_by_name() {
        assert_eq!(refused("", "", &[]), None);
        assert_eq!(refused("etcd://10.0.0.1:2379", "eth0:2376", &[("discovery.ttl", "9")]), None);
        assert!(refused("", "eth0:1", &[]).unwrap().contains("--cluster-store"));
        assert!(refused("", "", &[("kv.path", "x")]).unwrap().contains("--cluster-store"));
        assert!(refused("etcd://10.0.0.1:2379", "", &[]).unwrap().contains("--cluster-advertise"));
        assert!(refused("zk://10.0.0.1:1", "eth0:1", &[]).unwrap().contains("zk"));
        assert!(refused("etcd://10.0.0.1:2379", "0.0.0.0:1", &[]).unwrap().contains("cluster-advertise"));
        assert!(refused("etcd://10.0.0.1:2379", "eth0:1", &[("x", "y")]).unwrap().contains("\"x\""));
    }
}
