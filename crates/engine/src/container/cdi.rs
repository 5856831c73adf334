//! Devices by name, as the Container Device Interface describes them (github.com/cncf-tags/container-device-interface,
//! SPEC.md): files of vendors say what a device is in a container: nodes, mounts, variables, groups and hooks.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use oci_spec::runtime::{Hook, HookBuilder};
use serde::Deserialize;

use super::spec::{FileMount, HostDevice, built};
use crate::container::{DeviceRequest, Resources};
use crate::error::{Error, Result};

/// Where specifications are looked for; a later directory overrides an earlier one.
pub(crate) const DIRECTORIES: [&str; 2] = ["/etc/cdi", "/var/run/cdi"];
/// Longest specification, bytes, and how many are read.
const MOST_BYTES: usize = 4 << 20;
const MOST_FILES: usize = 256;
/// Kinds that `--gpus` means, in this order.
const GPUS: [&str; 2] = ["nvidia.com/gpu", "amd.com/gpu"];

/// What devices put into a container's specification.
#[derive(Debug, Default)]
pub(crate) struct Injection {
    pub(crate) devices: Vec<HostDevice>,
    pub(crate) mounts: Vec<FileMount>,
    pub(crate) env: Vec<String>,
    pub(crate) groups: Vec<u32>,
    /// Place in the life of a container, hook.
    pub(crate) hooks: Vec<(String, Hook)>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    cdi_version: String,
    kind: String,
    #[serde(default)]
    devices: Vec<Device>,
    #[serde(default)]
    container_edits: Edits,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Device {
    name: String,
    #[serde(default)]
    container_edits: Edits,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Edits {
    env: Vec<String>,
    device_nodes: Vec<Node>,
    mounts: Vec<CdiMount>,
    hooks: Vec<CdiHook>,
    #[serde(alias = "additionalGIDs")]
    additional_gids: Vec<u32>,
    intel_rdt: Option<serde_json::Value>,
    net_devices: Vec<serde_json::Value>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Node {
    path: String,
    host_path: String,
    #[serde(rename = "type")]
    kind: String,
    major: Option<i64>,
    minor: Option<i64>,
    file_mode: Option<u32>,
    permissions: String,
    uid: Option<u32>,
    gid: Option<u32>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct CdiMount {
    host_path: String,
    container_path: String,
    options: Vec<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct CdiHook {
    hook_name: String,
    path: String,
    args: Vec<String>,
    env: Vec<String>,
    timeout: Option<i64>,
}

/// What a container's requests for devices put into it. Blocks.
///
/// # Errors
/// Docker's `could not select device driver`; a device that no specification knows; one that is malformed.
pub(crate) fn inject(directories: &[PathBuf], wanted: &Resources) -> Result<Injection> {
    let mut injection = Injection::default();
    if wanted.device_requests.is_empty() {
        return Ok(injection);
    }
    let (known, unread) = read_all(directories);
    let mut missing = Vec::new();
    let mut kinds: Vec<String> = Vec::new();
    for request in &wanted.device_requests {
        for name in names(request, &known)? {
            let Some((spec, device)) = find(&known, &name) else {
                missing.push(name);
                continue;
            };
            if !kinds.contains(&spec.kind) {
                kinds.push(spec.kind.clone());
                injection.add(&spec.container_edits, &spec.kind)?;
            }
            injection.add(&device.container_edits, &name)?;
        }
    }
    if missing.is_empty() {
        return Ok(injection);
    }
    let unread = unread.into_iter().map(|why| format!("; {why}")).collect::<String>();
    Err(Error::system(format!(
        "CDI device injection failed: unresolvable CDI devices {}{unread}",
        missing.join(", ")
    )))
}

/// The qualified names, `vendor/class=name`, that a request means.
fn names(request: &DeviceRequest, known: &[Spec]) -> Result<Vec<String>> {
    if request.driver == "cdi" {
        return Ok(request.device_ids.clone());
    }
    let gpu = request.capabilities.iter().any(|set| set.iter().any(|word| word == "gpu"));
    let driver = ["", "nvidia", "amd"].contains(&request.driver.as_str());
    let fits = |kind: &&str| request.driver.is_empty() || kind.starts_with(&request.driver);
    let kind = GPUS.iter().copied().filter(fits).find(|kind| known.iter().any(|spec| spec.kind == **kind));
    let Some(kind) = kind.filter(|_| gpu && driver) else { return Err(no_driver(request)) };
    let name = |id: &str| if id.contains('=') { id.to_owned() } else { format!("{kind}={id}") };
    if !request.device_ids.is_empty() {
        return Ok(request.device_ids.iter().map(|id| name(id)).collect());
    }
    match u32::try_from(request.count) {
        Err(_) => Ok(vec![name("all")]),
        Ok(count) => Ok((0..count).map(|number| name(&number.to_string())).collect()),
    }
}

/// Docker's sentence for a request that no driver serves.
fn no_driver(request: &DeviceRequest) -> Error {
    let wanted: Vec<_> = request.capabilities.iter().map(|set| format!("[{}]", set.join(" "))).collect();
    Error::system(format!(
        "could not select device driver \"{}\" with capabilities: [{}]",
        request.driver,
        wanted.join(" ")
    ))
}

fn find<'s>(known: &'s [Spec], name: &str) -> Option<(&'s Spec, &'s Device)> {
    let (kind, device) = name.split_once('=')?;
    // the last directory counts
    known
        .iter()
        .rev()
        .filter(|spec| spec.kind == kind)
        .find_map(|spec| spec.devices.iter().find(|known| known.name == device).map(|device| (spec, device)))
}

/// All specifications that can be read, and why others can't.
fn read_all(directories: &[PathBuf]) -> (Vec<Spec>, Vec<String>) {
    let (mut known, mut unread) = (Vec::new(), Vec::new());
    for directory in directories {
        let mut files: Vec<_> =
            fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        files.sort();
        for path in files.into_iter().take(MOST_FILES) {
            let parsed = match path.extension().and_then(|extension| extension.to_str()) {
                Some("json" | "yaml" | "yml") => read(&path),
                _ => continue,
            };
            match parsed {
                Ok(spec) => known.push(spec),
                Err(why) => unread.push(format!("{}: {why}", path.display())),
            }
        }
    }
    (known, unread)
}

fn read(path: &Path) -> std::result::Result<Spec, String> {
    let bytes = sys::file::read_bounded(path, MOST_BYTES).map_err(|error| error.to_string())?;
    let spec: Spec = match path.extension().and_then(|extension| extension.to_str()) {
        Some("json") => serde_json::from_slice(&bytes).map_err(|error| error.to_string())?,
        _ => serde_yaml_ng::from_slice(&bytes).map_err(|error| error.to_string())?,
    };
    let major = spec.cdi_version.split('.').next();
    if !matches!(major, Some("0" | "1")) {
        return Err(format!("version {:?} is not known", spec.cdi_version));
    }
    if !spec.kind.split_once('/').is_some_and(|(vendor, class)| !vendor.is_empty() && !class.is_empty()) {
        return Err(format!("kind {:?} is not vendor/class", spec.kind));
    }
    Ok(spec)
}

impl Injection {
    fn add(&mut self, edits: &Edits, what: &str) -> Result<()> {
        let wrong = |why: String| Error::bad_parameter(format!("CDI device injection failed: {what}: {why}"));
        if edits.intel_rdt.is_some() || !edits.net_devices.is_empty() {
            return Err(wrong("intelRdt and netDevices are not supported".to_owned()));
        }
        self.env.extend(edits.env.iter().filter(|var| var.contains('=')).cloned());
        self.groups.extend(edits.additional_gids.iter().filter(|gid| **gid != 0));
        for node in &edits.device_nodes {
            self.devices.push(device(node).map_err(wrong)?);
        }
        for mount in &edits.mounts {
            if !mount.host_path.starts_with('/') || !mount.container_path.starts_with('/') {
                return Err(wrong(format!("a mount of {:?} at {:?}", mount.host_path, mount.container_path)));
            }
            let mut options = mount.options.clone();
            if !options.iter().any(|word| word == "bind" || word == "rbind") {
                options.push("rbind".to_owned());
            }
            self.mounts.push(FileMount {
                source: Some(PathBuf::from(&mount.host_path)),
                destination: mount.container_path.clone(),
                options,
            });
        }
        edits.hooks.iter().try_for_each(|hook| {
            let made = HookBuilder::default().path(&hook.path).args(hook.args.clone()).env(hook.env.clone());
            let made = match hook.timeout {
                Some(seconds) => made.timeout(seconds).build(),
                None => made.build(),
            };
            self.hooks.push((hook.hook_name.clone(), built(made)?));
            Ok(())
        })
    }
}

/// A node as a device; numbers that the specification leaves out are the host's.
fn device(node: &Node) -> std::result::Result<HostDevice, String> {
    let on_host = if node.host_path.is_empty() { &node.path } else { &node.host_path };
    let meta = fs::metadata(on_host).map_err(|error| format!("device {on_host}: {error}"));
    let (block, major, minor) = match (node.kind.as_str(), node.major, node.minor) {
        ("b", Some(major), Some(minor)) => (true, major, minor),
        ("c" | "u", Some(major), Some(minor)) => (false, major, minor),
        ("" | "b" | "c" | "u", ..) => {
            let meta = meta.as_ref().map_err(Clone::clone)?;
            let kind = meta.file_type();
            if !kind.is_block_device() && !kind.is_char_device() {
                return Err(format!("{on_host} is no device"));
            }
            let number = meta.rdev();
            (
                kind.is_block_device(),
                i64::from(rustix::fs::major(number)),
                i64::from(rustix::fs::minor(number)),
            )
        }
        (other, ..) => return Err(format!("device {}: type {other:?} is not supported", node.path)),
    };
    let access = if node.permissions.is_empty() { "rwm" } else { &node.permissions };
    if !node.path.starts_with('/') || !access.chars().all(|letter| "rwm".contains(letter)) {
        return Err(format!("device {:?} with permissions {access:?}", node.path));
    }
    let meta = meta.ok();
    let own = |choose: fn(&fs::Metadata) -> u32| meta.as_ref().map(choose);
    Ok(HostDevice {
        path: node.path.clone(),
        block,
        major,
        minor,
        mode: node.file_mode.or(own(|meta| meta.mode() & 0o7777)).unwrap_or(0o666),
        uid: node.uid.or(own(fs::Metadata::uid)).unwrap_or(0),
        gid: node.gid.or(own(fs::Metadata::gid)).unwrap_or(0),
        access: access.to_owned(),
    })
}

/// The hooks by their places in the specification.
///
/// # Errors
/// A place is none.
pub(crate) fn hooks(list: &[(String, Hook)]) -> Result<Option<oci_spec::runtime::Hooks>> {
    if list.is_empty() {
        return Ok(None);
    }
    let mut places: BTreeMap<&str, Vec<Hook>> = BTreeMap::new();
    for (place, hook) in list {
        places.entry(place.as_str()).or_default().push(hook.clone());
    }
    let value = serde_json::to_value(&places).map_err(|error| Error::because("CDI hooks", error))?;
    // those that nobody would run are refused
    const PLACES: [&str; 4] = ["prestart", "createRuntime", "createContainer", "startContainer"];
    if let Some(wrong) = places.keys().find(|place| !PLACES.contains(place)) {
        return Err(Error::bad_parameter(format!("CDI device injection failed: unknown hook {wrong:?}")));
    }
    serde_json::from_value(value).map(Some).map_err(|error| Error::because("CDI hooks", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(driver: &str, ids: &[&str], count: i64, capability: &str) -> Resources {
        let request = DeviceRequest {
            driver: driver.to_owned(),
            device_ids: ids.iter().map(|id| (*id).to_owned()).collect(),
            count,
            capabilities: vec![vec![capability.to_owned()]],
        };
        Resources { device_requests: vec![request], ..Resources::default() }
    }

    fn spec(kind: &str, device: &str, edits: &str) -> String {
        format!(
            "cdiVersion: 0.5.0\nkind: {kind}\ndevices:\n- name: \"{device}\"\n  containerEdits: {{{edits}}}\n"
        )
    }

    #[test]
    fn a_later_directory_counts_and_what_is_wrong_is_named() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let write = |dir: &tempfile::TempDir, text: &str| fs::write(dir.path().join("a.yaml"), text).unwrap();
        let directories = [first.path().to_owned(), second.path().to_owned()];
        let given = |wanted: &Resources| inject(&directories, wanted).map(|injection| injection.env);
        write(&first, &spec("amd.com/gpu", "1", "env: [A=1]"));
        assert_eq!(given(&wanted("cdi", &["amd.com/gpu=1"], 0, "")).unwrap(), ["A=1"]);
        assert_eq!(given(&wanted("", &["1"], 0, "gpu")).unwrap(), ["A=1"]);
        write(&second, &spec("amd.com/gpu", "1", "env: [A=2]"));
        assert_eq!(given(&wanted("amd", &["1"], 0, "gpu")).unwrap(), ["A=2"]);
        let said = |wanted: &Resources| given(wanted).unwrap_err().to_string();
        assert!(
            said(&wanted("nvidia", &["1"], 0, "gpu")).contains("could not select device driver \"nvidia\"")
        );
        assert!(said(&wanted("", &[], 1, "tpu")).contains("[[tpu]]"));
        assert!(said(&wanted("", &[], 1, "gpu")).contains("amd.com/gpu=0"));
        for edits in [
            "netDevices: [{}]",
            "deviceNodes: [{path: /dev/null, permissions: x}]",
            "deviceNodes: [{path: /etc/passwd}]",
            "mounts: [{hostPath: a, containerPath: /b}]",
        ] {
            write(&second, &spec("amd.com/gpu", "1", edits));
            assert!(said(&wanted("", &["1"], 0, "gpu")).contains("amd.com/gpu=1: "), "{edits}");
        }
        write(&second, &spec("b.com/c", "1", "").replace("0.5.0", "7.0.0"));
        assert!(said(&wanted("cdi", &["b.com/c=1"], 0, "")).contains("version \"7.0.0\" is not known"));
    }
}
