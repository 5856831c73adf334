//! What must be the same after a restart: the networks' ids and the bridge's subnet. Leases are
//! not here: an address is held by the container that was given it, whose record says so.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use ipnet::{Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::ipam::Family;
use crate::layout;

/// Version of the format that is written.
const VERSION: u32 = 1;
/// Largest record that is read.
const MAX_LEN: u64 = 1 << 20;

/// The record of networks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    version: u32,
    /// The default bridge network.
    pub(crate) bridge: Identity,
    /// The host's network.
    pub(crate) host: Identity,
    /// No network.
    pub(crate) none: Identity,
    /// The bridge's address and prefix, once it has one.
    pub(crate) bridge_address: Option<Ipv4Net>,
    /// The bridge's IPv6 address and prefix, once it has one that nobody has asked for.
    #[serde(default)]
    pub(crate) bridge_address6: Option<Ipv6Net>,
    /// Set when this machine forwards IPv4 packets since it runs because we told it to.
    #[serde(default)]
    pub(crate) forwarding: Option<Forwarding>,
    /// Likewise for IPv6.
    #[serde(default)]
    pub(crate) forwarding6: Option<Forwarding>,
}

/// Forwarding that we turned on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Forwarding {
    /// The boot it was in: after another one, the switch is the administrator's again.
    pub(crate) boot_id: String,
    /// The interfaces there were then, between which nothing is to be forwarded still.
    pub(crate) uplinks: Vec<String>,
    /// Interfaces that were told to go on listening to routers, which a host that forwards would not.
    #[serde(default)]
    pub(crate) listening: Vec<String>,
}

/// What a network is known by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// 64 hex digits.
    pub(crate) id: String,
    /// Milliseconds since the Unix epoch.
    pub(crate) created_ms: u64,
}

impl Identity {
    fn new() -> Result<Self> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let created_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        Ok(Self { id: random_id()?, created_ms })
    }
}

impl Record {
    /// A family's forwarding, if we have turned it on.
    pub(crate) const fn forwarding(&self, family: Family) -> Option<&Forwarding> {
        match family {
            Family::V4 => self.forwarding.as_ref(),
            Family::V6 => self.forwarding6.as_ref(),
        }
    }

    /// To be noted before forwarding is turned on, and after it was turned off.
    pub(crate) fn set_forwarding(&mut self, family: Family, forwarding: Option<Forwarding>) {
        match family {
            Family::V4 => self.forwarding = forwarding,
            Family::V6 => self.forwarding6 = forwarding,
        }
    }

    /// Reads the record in `data_dir`, or makes and writes a new one.
    pub(crate) fn open(data_dir: &Path) -> Result<Self> {
        let path = layout::networks(data_dir);
        match read(&path) {
            Ok(record) if record.version == VERSION => Ok(record),
            Ok(record) => Err(Error::Config(format!(
                "network record {} has format {}, of which this version knows nothing",
                path.display(),
                record.version
            ))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::create(data_dir),
            Err(source) => Err(Error::Record { path, source }),
        }
    }

    fn create(data_dir: &Path) -> Result<Self> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(data_dir);
        made.map_err(|source| Error::Record { path: data_dir.to_owned(), source })?;
        let record = Self {
            version: VERSION,
            bridge: Identity::new()?,
            host: Identity::new()?,
            none: Identity::new()?,
            bridge_address: None,
            bridge_address6: None,
            forwarding: None,
            forwarding6: None,
        };
        record.write(data_dir)?;
        Ok(record)
    }

    /// Replaces the record in `data_dir` durably.
    pub(crate) fn write(&self, data_dir: &Path) -> Result<()> {
        let path = layout::networks_new(data_dir);
        write(&path, self)
            .and_then(|()| fs::rename(&path, layout::networks(data_dir)))
            .map_err(|source| Error::Record { path, source })
    }
}

fn read(path: &Path) -> io::Result<Record> {
    let mut text = Vec::new();
    File::open(path)?.take(MAX_LEN).read_to_end(&mut text)?;
    serde_json::from_slice(&text).map_err(io::Error::from)
}

fn write(path: &Path, record: &Record) -> io::Result<()> {
    let text = serde_json::to_vec(record)?;
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(&text)?;
    file.sync_data()
}

/// 64 random hex digits.
pub(crate) fn random_id() -> Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|e| Error::Config(format!("no random numbers: {e}")))?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_keep_their_identity() {
        let dir = tempfile::tempdir().expect("tempdir");
        let data = dir.path().join("network");
        let mut record = Record::open(&data).expect("new");
        assert_eq!(record.bridge.id.len(), 64);
        record.bridge_address = Some("172.18.0.1/16".parse().expect("net"));
        record.write(&data).expect("written");
        assert_eq!(Record::open(&data).expect("read"), record);
        assert!(!layout::networks_new(&data).exists());
    }

    #[test]
    fn a_record_that_cannot_be_read_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().expect("tempdir");
        fs::write(layout::networks(dir.path()), "{").expect("written");
        let error = Record::open(dir.path()).expect_err("broken").to_string();
        assert!(error.contains("networks.json"), "{error}");
        fs::write(
            layout::networks(dir.path()),
            r#"{"version":9,"bridge":{"id":"","created_ms":0},"host":{"id":"","created_ms":0},"none":{"id":"","created_ms":0},"bridge_address":null}"#,
        )
        .expect("written");
        assert!(Record::open(dir.path()).expect_err("newer").to_string().contains("format 9"));
    }
}
