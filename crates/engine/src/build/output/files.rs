//! A result's files for the client: as they lie there, or with what is said of them, a directory for each platform.

use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use ::build::attest::{Predicate, SPDX};
use oci::Digest;
use store::{Scratch, Store};
use tarball::{Extract, Owner, Packer, Through, Xattrs};

use super::super::mounts::Sight;
use super::super::remote::{Built, RemoteBuilt};
use super::super::{failed, file_digest};
use crate::Reader;
use crate::error::{Error, Result};
use crate::image::written::written;

/// Bytes of a tar on its way from one directory to another.
const PIPE: usize = 256 << 10;

/// A directory of a result's files, as long as this.
pub struct Files {
    root: OwnedFd,
    _place: Option<Scratch>,
}

impl Files {
    /// The directory, open.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn directory(&self) -> Result<OwnedFd> {
        self.root.try_clone().map_err(|error| Error::because("open the result", error))
    }

    /// The files as a tar archive.
    ///
    /// # Errors
    /// The kernel's refusal; in the archive: a file can't be read, or the archive has no place for a time.
    pub fn archive(self, epoch: Option<i64>) -> Result<Reader> {
        let root = sys::path::Root::in_root(self.directory()?).open_dir("/");
        let root = root.map_err(|error| Error::because("open the result", error))?;
        Ok(written(move |output| {
            let packed = match epoch {
                None => pack(&root, output),
                Some(epoch) => clamped(&root, output, epoch),
            };
            drop(self);
            packed
        }))
    }
}

fn pack(root: &OwnedFd, output: impl Write) -> std::result::Result<(), String> {
    let failed = |error: tarball::Error| error.to_string();
    let mut packer = Packer::new(output, Xattrs::All);
    packer.contents(root).map_err(failed)?;
    packer.finish().map(drop).map_err(failed)
}

/// As [`pack`], with no time after the epoch.
fn clamped(root: &OwnedFd, output: &mut (impl Write + Send), epoch: i64) -> std::result::Result<(), String> {
    let (mut reader, writer) = std::io::pipe().map_err(|error| format!("make a pipe: {error}"))?;
    std::thread::scope(|scope| {
        let packing = scope.spawn(move || pack(root, std::io::BufWriter::with_capacity(PIPE, writer)));
        let clamped = tarball::clamp_times(&mut reader, output, epoch)
            .map_err(|error| format!("change times: {error}"));
        drop(reader);
        packing.join().unwrap_or_else(|_panic| Err("a thread failed".to_owned())).and(clamped)
    })
}

impl RemoteBuilt {
    /// The files. Of several platforms each has a directory, `linux_amd64` for instance; what is said of a result lies
    /// beside its files.
    ///
    /// # Errors
    /// The kernel's refusal; the disk is full.
    pub(super) fn files(&self, store: &Store, split: Option<bool>) -> Result<Files> {
        let split = split.unwrap_or(self.results.len() > 1);
        if let ([one], false) = (self.results.as_slice(), split)
            && one.predicates.is_empty()
        {
            return Ok(Files { root: self.mount(one)?, _place: None });
        }
        let place = store.scratch()?;
        set_mode(&place.path().to_owned())?;
        for one in &self.results {
            let mut dir = place.path().to_owned();
            if split {
                dir.push(one.platform.to_string().replace('/', "_"));
                std::fs::create_dir_all(&dir)
                    .map_err(|error| Error::because("make room for files", error))?;
                set_mode(&dir)?;
            }
            self.copy(one, &dir)?;
            if one.predicates.is_empty() {
                continue;
            }
            let mut subjects = Vec::new();
            digests(&dir, "", &mut subjects)?;
            for predicate in &one.predicates {
                let path = dir.join(name(predicate));
                // a link that the build has put there leads nowhere
                let _ = std::fs::remove_file(&path);
                let written = std::fs::File::create_new(&path)
                    .and_then(|mut file| file.write_all(&predicate.about(&subjects)));
                written.map_err(|error| Error::because("write an attestation", error))?;
            }
        }
        let root = sys::file::open_directory(place.path())
            .map_err(|error| Error::because("open the result", error))?;
        Ok(Files { root, _place: Some(place) })
    }

    fn copy(&self, one: &Built, dir: &PathBuf) -> Result<()> {
        let failed = |error: String| Error::system(format!("gather the result's files: {error}"));
        let root = sys::path::Root::in_root(self.mount(one)?).open_dir("/");
        let root = root.map_err(|error| failed(error.to_string()))?;
        let into = sys::file::open_directory(dir).map_err(|error| failed(error.to_string()))?;
        let (reader, writer) = std::io::pipe().map_err(|error| failed(error.to_string()))?;
        std::thread::scope(|scope| {
            let packing = scope.spawn(move || pack(&root, std::io::BufWriter::with_capacity(PIPE, writer)));
            let options = Extract {
                shown: "the result",
                through: Through::Refused,
                owner: Owner::Archive,
                keep_kinds: false,
                ids: None,
                renames: &[],
            };
            let input = std::io::BufReader::with_capacity(PIPE, reader);
            let unpacked = tarball::extract(into, input, &options).map_err(|error| failed(error.to_string()));
            let packed = packing.join().unwrap_or_else(|_panic| Err("a thread failed".to_owned()));
            packed.map_err(failed).and(unpacked)
        })
    }

    fn mount(&self, one: &Built) -> Result<OwnedFd> {
        self.trees.mount(&one.tree, Sight::default()).map_err(failed)
    }
}

fn set_mode(path: &PathBuf) -> Result<()> {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))
        .map_err(|error| Error::because("make room for files", error))
}

/// The regular files below a directory, and their digests. Links are not followed.
fn digests(dir: &std::path::Path, prefix: &str, all: &mut Vec<(String, Digest)>) -> Result<()> {
    let failed = |error: std::io::Error| Error::because("read the result", error);
    let mut entries =
        std::fs::read_dir(dir).map_err(failed)?.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let kind = entry.file_type().map_err(failed)?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if kind.is_dir() {
            digests(&entry.path(), &format!("{name}/"), all)?;
        } else if kind.is_file() {
            all.push((name, file_digest(&entry.path()).map_err(failed)?));
        }
    }
    Ok(())
}

/// As BuildKit names them.
fn name(predicate: &Predicate) -> &'static str {
    if predicate.kind == SPDX { "sbom.spdx.json" } else { "provenance.json" }
}
