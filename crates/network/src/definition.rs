//! Networks that persons make, and their records: one file each, replaced and removed durably.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::net::Ipv4Addr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::config::BridgeConfig;
use crate::driver::bridge::{self, Options};
use crate::error::{Error, Result};
use crate::ipam::SubnetRequest;
use crate::layout;

/// Version of the format that is written.
const VERSION: u32 = 1;
/// Largest record that is read.
const MAX_LEN: u64 = 4 << 20;
/// Digits of the id in the name of the bridge, as Docker's.
const NAME_DIGITS: usize = 12;

/// A network that is wished for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CreateRequest {
    /// Its name.
    pub name: String,
    /// Its driver; empty means `bridge`.
    pub driver: String,
    /// Its subnet; empty asks for any that is free.
    pub subnets: Vec<SubnetRequest>,
    /// No way out of it, and none in.
    pub internal: bool,
    /// Kept and shown; every container may join.
    pub attachable: bool,
    /// Options of the driver.
    pub options: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
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
    /// What was asked of its addresses, as it was asked.
    pub(crate) asked: Vec<SubnetRequest>,
    /// Its subnet.
    pub(crate) subnet: Ipv4Net,
    /// Part of it for automatic addresses.
    pub(crate) ip_range: Option<Ipv4Net>,
    /// The bridge's address.
    pub(crate) gateway: Ipv4Addr,
    /// Addresses that are not given out.
    pub(crate) aux: BTreeMap<String, Ipv4Addr>,
    /// No way out.
    pub(crate) internal: bool,
    /// As asked.
    pub(crate) attachable: bool,
    /// As asked.
    pub(crate) options: BTreeMap<String, String>,
    /// As asked.
    pub(crate) labels: BTreeMap<String, String>,
    /// The bridge was there before the network: it stays.
    pub(crate) external: bool,
}

impl Definition {
    /// The network `request` asks for, with the addresses that were settled on.
    pub(crate) fn new(
        id: String,
        created_ms: u64,
        request: CreateRequest,
        (subnet, ip_range): (Ipv4Net, Option<Ipv4Net>),
        gateway: Ipv4Addr,
        aux: BTreeMap<String, Ipv4Addr>,
    ) -> Self {
        Self {
            version: VERSION,
            id,
            name: request.name,
            created_ms,
            driver: "bridge".to_owned(),
            asked: request.subnets.into_iter().filter(|asked| !asked.subnet.is_empty()).collect(),
            subnet,
            ip_range,
            gateway,
            aux,
            internal: request.internal,
            attachable: request.attachable,
            options: request.options,
            labels: request.labels,
            external: false,
        }
    }

    /// The driver's options; they were read when the network was made.
    pub(crate) fn options(&self) -> Options {
        bridge::read(&self.options).unwrap_or_default()
    }

    /// Name of the bridge.
    pub(crate) fn bridge_name(&self) -> String {
        self.options().name.unwrap_or_else(|| format!("br-{}", &self.id[..NAME_DIGITS]))
    }

    /// What the bridge is to be.
    pub(crate) fn bridge(&self) -> BridgeConfig {
        let options = self.options();
        BridgeConfig {
            name: self.bridge_name(),
            external: self.external,
            bip: Some(Ipv4Net::new_assert(self.gateway, self.subnet.prefix_len())),
            fixed_cidr: self.ip_range,
            default_gateway: self.aux.get("DefaultGatewayIPv4").copied(),
            mtu: options.mtu,
            icc: options.icc,
            ip_masq: options.masquerade && !self.internal,
        }
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
    Ok(serde_json::from_slice(&text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network() -> Definition {
        let request = CreateRequest { name: "web".into(), internal: true, ..CreateRequest::default() };
        let subnet = "10.1.0.0/16".parse().expect("subnet");
        Definition::new(
            "ab".repeat(32),
            7,
            request,
            (subnet, None),
            Ipv4Addr::new(10, 1, 0, 1),
            BTreeMap::new(),
        )
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
        let network: Definition = serde_json::from_str(&text).expect("read");
        assert_eq!((network.bridge_name().as_str(), network.bridge().ip_masq), ("br-abababababab", false));
    }
}
