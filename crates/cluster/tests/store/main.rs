//! The crate against a real etcd, one for each test.

mod hosts;
mod load;
mod members;
mod networks;
mod outages;
mod tls;

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use cluster::{Addresses, Cluster, Endpoint, Host, Lost, Network, Options, StoreOptions, View};
use e2e::etcd::Etcd;
use tokio::sync::mpsc;

/// How long anything may take; it ends a hang, and measures nothing.
const PATIENCE: Duration = Duration::from_secs(30);

/// A machine that takes part.
struct Machine {
    cluster: Cluster,
    lost: mpsc::UnboundedReceiver<Lost>,
}

fn id(byte: u8) -> String {
    format!("{byte:02x}").repeat(32)
}

fn options(etcd: &Etcd, dir: &Path, name: &str, ttl: u64) -> Result<Options> {
    options_of(&etcd.url(), dir, name, ttl)
}

fn options_of(url: &str, dir: &Path, name: &str, ttl: u64) -> Result<Options> {
    let settings = [("discovery.ttl".to_owned(), ttl.to_string())].into();
    let last = name.bytes().map(u32::from).sum::<u32>() % 250 + 1;
    let address = IpAddr::from([192, 168, 77, u8::try_from(last)?]);
    let host = Host { id: name.to_owned(), name: name.to_owned(), address, port: 2376, wireguard: None };
    Ok(Options { store: StoreOptions::parse(url, &settings)?, host, record_dir: dir.join(name) })
}

/// One that takes part at once.
async fn machine(etcd: &Etcd, dir: &Path, name: &str) -> Result<Machine> {
    awake(etcd, dir, name, 60).await
}

/// One that takes part at once, and is lost after so many seconds of silence.
async fn awake(etcd: &Etcd, dir: &Path, name: &str, ttl: u64) -> Result<Machine> {
    let machine = asleep(etcd, dir, name, ttl)?;
    machine.cluster.start();
    machine.cluster.ready().await?;
    Ok(machine)
}

/// One that has not begun.
fn asleep(etcd: &Etcd, dir: &Path, name: &str, ttl: u64) -> Result<Machine> {
    let (cluster, lost) = Cluster::open(options(etcd, dir, name, ttl)?)?;
    Ok(Machine { cluster, lost })
}

fn network(byte: u8) -> Network {
    Network {
        id: id(byte),
        name: format!("net{byte}"),
        created_ms: 1,
        vni: 0,
        subnets: Vec::new(),
        mtu: None,
        encrypted: false,
        internal: false,
        attachable: true,
        options: Default::default(),
        labels: Default::default(),
        subnet_chosen: false,
    }
}

fn endpoint(byte: u8, host: &str, addresses: Addresses) -> Endpoint {
    Endpoint {
        id: id(byte),
        host: host.to_owned(),
        name: format!("c{byte}"),
        ip: addresses.ip,
        ip6: addresses.ip6,
        mac: format!("02:42:0a:00:00:{byte:02x}"),
        names: vec![format!("c{byte}"), "alias".to_owned()],
    }
}

/// Waits until a machine sees what it should.
async fn sees(machine: &Machine, what: &str, mut is: impl FnMut(&View) -> bool) -> Result<()> {
    let mut updates = machine.cluster.updates();
    let watch = async {
        while let Some((view, _)) = updates.next().await {
            if is(&view) {
                return true;
            }
        }
        false
    };
    let seen = tokio::time::timeout(PATIENCE, watch).await;
    seen.ok().filter(|seen| *seen).map(drop).with_context(|| format!("not seen: {what}"))
}

fn endpoints(view: &View, network: u8) -> usize {
    view.endpoints(&id(network)).len()
}

/// Asks until the store is there again.
async fn retry<T>(ask: impl AsyncFn() -> cluster::Result<T>) -> Result<T> {
    let asking = async {
        loop {
            match ask().await {
                Err(cluster::Error::Unavailable { .. } | cluster::Error::Expired) => {
                    tokio::task::yield_now().await
                }
                answer => return answer,
            }
        }
    };
    Ok(tokio::time::timeout(PATIENCE, asking).await??)
}
