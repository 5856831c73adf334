//! Tars and archives made in memory, for tests.

use std::io::Write;
use std::path::Path;

use oci::Digest;
use tar::{EntryType, Header};

use crate::{DriverChoice, Store};

/// A tar made entry by entry, with nothing checked.
#[derive(Clone, Default)]
pub(crate) struct Tar {
    bytes: Vec<u8>,
}

impl Tar {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A header with whatever `change` does to it, and a payload.
    pub(crate) fn entry(
        mut self,
        name: &str,
        kind: EntryType,
        payload: &[u8],
        change: impl FnOnce(&mut Header),
    ) -> Self {
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_700_000_000);
        header.set_size(payload.len() as u64);
        change(&mut header);
        header.set_cksum();
        self.bytes.extend_from_slice(header.as_bytes());
        self.payload(payload)
    }

    fn payload(mut self, payload: &[u8]) -> Self {
        self.bytes.extend_from_slice(payload);
        let full = self.bytes.len().next_multiple_of(512);
        self.bytes.resize(full, 0);
        self
    }

    pub(crate) fn file(self, name: &str, content: &[u8]) -> Self {
        self.entry(name, EntryType::Regular, content, |_| ())
    }

    pub(crate) fn dir(self, name: &str, mode: u32) -> Self {
        self.entry(name, EntryType::Directory, b"", |header| header.set_mode(mode))
    }

    pub(crate) fn link(self, name: &str, kind: EntryType, target: &str) -> Self {
        self.entry(name, kind, b"", |header| header.set_link_name_literal(target).unwrap())
    }

    pub(crate) fn device(self, name: &str, kind: EntryType, major: u32, minor: u32) -> Self {
        self.entry(name, kind, b"", |header| {
            header.set_device_major(major).unwrap();
            header.set_device_minor(minor).unwrap();
        })
    }

    /// PAX records for the next entry.
    pub(crate) fn pax(self, records: &[(&str, &[u8])]) -> Self {
        let mut payload = Vec::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            let mut length = rest + 1;
            while length != rest + length.to_string().len() {
                length = rest + length.to_string().len();
            }
            payload.extend_from_slice(format!("{length} {key}=").as_bytes());
            payload.extend_from_slice(value);
            payload.push(b'\n');
        }
        self.entry("pax", EntryType::XHeader, &payload, |_| ())
    }

    /// Bytes as they are.
    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// The tar with its end.
    pub(crate) fn end(mut self) -> Vec<u8> {
        self.bytes.extend_from_slice(&[0; 1024]);
        self.bytes
    }

    /// The tar without an end.
    pub(crate) fn unended(self) -> Vec<u8> {
        self.bytes
    }
}

/// A file as `file NAME CONTENT` in a layer of a few lines: the smallest useful layer.
pub(crate) fn layer(files: &[(&str, &str)]) -> Vec<u8> {
    files.iter().fold(Tar::new(), |tar, (name, content)| tar.file(name, content.as_bytes())).end()
}

/// A config for these layers.
pub(crate) fn config(layers: &[&[u8]]) -> Vec<u8> {
    let diff_ids: Vec<String> = layers.iter().map(|layer| Digest::sha256(layer).to_string()).collect();
    serde_json::to_vec(&serde_json::json!({
        "architecture": "amd64", "os": "linux", "created": "2024-01-02T03:04:05Z",
        "config": {"Cmd": ["sh"], "Env": null},
        "history": layers.iter().map(|_| serde_json::json!({"created_by": "test"})).collect::<Vec<_>>(),
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    }))
    .unwrap()
}

pub(crate) fn blob(bytes: &[u8]) -> String {
    format!("blobs/sha256/{}", Digest::sha256(bytes).hex())
}

/// Today's `docker save` of one image (blobs before the manifest).
pub(crate) fn docker_archive(tags: &[&str], layers: &[&[u8]]) -> Vec<u8> {
    let config = config(layers);
    let manifest = serde_json::json!([{
        "Config": blob(&config), "RepoTags": tags, "Layers": layers.iter().map(|l| blob(l)).collect::<Vec<_>>(),
    }]);
    let tar = layers
        .iter()
        .fold(Tar::new(), |tar, layer| tar.entry(&blob(layer), EntryType::Regular, layer, |_| ()));
    tar.file(&blob(&config), &config).file("manifest.json", manifest.to_string().as_bytes()).end()
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

pub(crate) fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A store in a directory of its own.
pub(crate) fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("store"), DriverChoice::Auto).unwrap();
    (dir, store)
}

/// Names in a directory, sorted.
pub(crate) fn list(dir: &Path) -> Vec<String> {
    let names =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

/// Nothing of a failed operation is left.
pub(crate) fn assert_empty(dir: &tempfile::TempDir) {
    let store = dir.path().join("store");
    for name in ["layers", "images", "chains", "blobs/sha256", "tmp", "snapshots"] {
        assert_eq!(list(&store.join(name)), Vec::<String>::new(), "{name}");
    }
}

impl Store {
    /// Waits until what was thrown away is gone.
    pub(crate) fn wait_for_trash(&self) {
        let trash = self.inner().layout.trash();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while !list(&trash).is_empty() {
            assert!(std::time::Instant::now() < deadline, "the trash is not emptied");
            std::thread::yield_now();
        }
    }
}

/// A file system in memory, for as long as this lives.
pub(crate) struct Tmpfs<'a>(&'a Path);

impl<'a> Tmpfs<'a> {
    pub(crate) fn new(path: &'a Path, options: &str) -> Self {
        let options = std::ffi::CString::new(options).unwrap();
        rustix::mount::mount("tmpfs", path, "tmpfs", rustix::mount::MountFlags::empty(), &*options).unwrap();
        Self(path)
    }
}

impl Drop for Tmpfs<'_> {
    fn drop(&mut self) {
        rustix::mount::unmount(self.0, rustix::mount::UnmountFlags::DETACH).unwrap();
    }
}
