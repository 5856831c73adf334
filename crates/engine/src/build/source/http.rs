//! A file that a web server has.
//!
//! Its bytes stay with what the server said of them, so that they come once for each state of the file:
//!
//! ```text
//! <data>/build/files/<key>.json       what is known of it; key = digest of the URL and the file's attributes
//! <data>/build/files/<key>-<digest>   its bytes
//! ```
//!
//! A build has a name of its own of the bytes (link(2)), and compares their digest before it relies on them: so
//! nothing waits for a disk, and what a power cut has spoilt is fetched again.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ::build::graph::{HttpSource, redacted};
use ::build::{Error, Result};
use oci::Digest;
use registry::client::{Credentials, Download, Validators};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::super::trees::Directory;
use super::super::{context, file_digest, worker};
use super::{Fetcher, Tell};

/// Largest file that is fetched, in bytes.
const MAX_BYTES: u64 = 64 << 30;
/// Longest note on a kept file, in bytes.
const MAX_NOTE: usize = 64 << 10;
/// Files that are kept.
const MAX_KEPT: usize = 256;
/// The mode of files that nobody gives one, as in Docker.
const MODE: u32 = 0o600;
/// What a file is called that nobody names.
const UNNAMED: &str = "download";
/// What is being written is called, before its name.
const NEW: &str = ".new-";

/// What is known of a kept file.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    digest: Digest,
    etag: Option<String>,
    modified: Option<String>,
}

/// Where a file is kept.
struct Kept {
    dir: PathBuf,
    key: String,
}

impl Kept {
    fn note(&self) -> PathBuf {
        self.dir.join(format!("{}.json", self.key))
    }

    fn bytes(&self, digest: &Digest) -> PathBuf {
        self.dir.join(format!("{}-{}", self.key, digest.hex()))
    }

    fn read(&self) -> Option<Note> {
        let bytes = sys::file::read_bounded(self.note(), MAX_NOTE).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// The kept file under a name of the caller's, if it is what it was.
    fn take(&self, place: &Path) -> Option<Note> {
        let note = self.read()?;
        fs::hard_link(self.bytes(&note.digest), place).ok()?;
        let same = file_digest(place).is_ok_and(|found| found == note.digest);
        if !same {
            // another comes in its place
            let _ = fs::remove_file(place);
        }
        // by this the files are told that nobody has used for long
        let _ = File::open(self.note()).and_then(|note| note.set_modified(SystemTime::now()));
        same.then_some(note)
    }

    fn put(&self, place: &Path, note: &Note) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)?;
        let before = self.read();
        let new = self.dir.join(format!("{NEW}{}", crate::id::random().map_err(io::Error::other)?));
        fs::hard_link(place, &new)?;
        fs::rename(&new, self.bytes(&note.digest))?;
        // a link over another of the same file does nothing
        let _ = fs::remove_file(&new);
        fs::write(&new, serde_json::to_vec(note)?)?;
        fs::rename(&new, self.note())?;
        if let Some(before) = before.filter(|before| before.digest != note.digest) {
            let _ = fs::remove_file(self.bytes(&before.digest));
        }
        self.forget_old()
    }

    /// Removes what was not used for the longest time, but for so many; and what a killed daemon has left.
    fn forget_old(&self) -> io::Result<()> {
        let mut notes = Vec::new();
        let mut bytes = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            match name.strip_suffix(".json") {
                Some(key) => notes.push((entry.metadata()?.modified()?, key.to_owned())),
                None => bytes.push(name),
            }
        }
        notes.sort();
        let old = notes.len().saturating_sub(MAX_KEPT);
        for (_, key) in notes.into_iter().take(old) {
            // whoever removes it first has done it
            let _ = fs::remove_file(self.dir.join(format!("{key}.json")));
            for name in bytes.iter().filter(|name| name.starts_with(&key)) {
                let _ = fs::remove_file(self.dir.join(name));
            }
        }
        Ok(())
    }
}

/// The URL without a name and a password in it, and whose they are.
fn split(url: &str) -> Result<(String, Credentials)> {
    let Some((scheme, rest)) = url.split_once("://") else {
        return Ok((url.to_owned(), Credentials::Anonymous));
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let Some((user, host)) = rest[..end].rsplit_once('@') else {
        return Ok((url.to_owned(), Credentials::Anonymous));
    };
    let (username, password) = user.split_once(':').unwrap_or((user, ""));
    let decode = |text: &str| {
        super::git::unescape(text).ok_or_else(|| Error::Invalid("the URL's user name can't be read".into()))
    };
    let credentials = Credentials::Basic { username: decode(username)?, password: decode(password)? };
    Ok((format!("{scheme}://{host}{}", &rest[end..]), credentials))
}

impl Fetcher {
    /// The file in a directory by itself, or what is in it.
    pub(super) fn http(&self, source: &HttpSource, tell: Tell<'_>) -> Result<Directory> {
        let room = |error: store::Error| Error::because("make room for a file", error);
        let place = self.engine.store.scratch().map_err(room)?;
        let name = source.name().unwrap_or_else(|| UNNAMED.to_owned());
        if name.contains('/') || matches!(&*name, "." | "..") {
            return Err(Error::Invalid(format!("{name:?} is no name of a file")));
        }
        let path = place.path().join(name);
        let attributes = (source.mode, source.uid, source.gid);
        let key = Digest::sha256(format!("{}\0{attributes:?}", source.url).as_bytes()).hex().to_owned();
        let kept = Kept { dir: self.engine.layout.build_files(), key };
        let known = kept.take(&path);
        let found = match (&known, &source.checksum) {
            (Some(known), Some(wanted)) if known.digest == *wanted => wanted.clone(),
            _ => self.newer(source, known, &kept, &path, tell)?,
        };
        if let Some(wanted) = &source.checksum
            && *wanted != found
        {
            let url = redacted(&source.url);
            return Err(Error::Invalid(format!("digest mismatch of {url}: {found} is not {wanted}")));
        }
        if source.unpack && is_archive(&path) {
            let archive = File::open(&path).map_err(|error| Error::because("open an archive", error))?;
            let files = context::unpack(&self.engine.store, archive)?;
            return Ok(Directory::Own(Arc::new(files)));
        }
        Ok(Directory::Own(Arc::new(place)))
    }

    /// Asks whether there is another file than the one that is known, and fetches that.
    fn newer(
        &self,
        source: &HttpSource,
        known: Option<Note>,
        kept: &Kept,
        path: &Path,
        tell: Tell<'_>,
    ) -> Result<Digest> {
        let (url, credentials) = split(&source.url)?;
        let validators = known
            .as_ref()
            .map(|note| Validators { etag: note.etag.clone(), modified: note.modified.clone() })
            .unwrap_or_default();
        let client = self.engine.registries.current();
        let failed = |error: registry::client::Error| Error::Invalid(error.to_string());
        self.wait(async {
            let answer =
                client.client.fetch_changed(&url, &credentials, &validators).await.map_err(failed)?;
            let Some(mut download) = answer else {
                return known.map(|note| note.digest).ok_or_else(|| Error::Invalid("nothing came".into()));
            };
            // the name may be that of the former bytes
            let _ = fs::remove_file(path);
            let digest = receive(&mut download, path, tell).await?;
            let said = download.validators();
            finish(path, source, said.modified.as_deref())
                .map_err(|error| Error::because("write a file that was fetched", error))?;
            let note =
                Note { digest: digest.clone(), etag: said.etag.clone(), modified: said.modified.clone() };
            if !said.is_empty()
                && let Err(error) = kept.put(path, &note)
            {
                tracing::warn!(%error, "a file that was fetched for a build is not kept");
            }
            Ok(digest)
        })
    }
}

async fn receive(download: &mut Download, path: &Path, tell: Tell<'_>) -> Result<Digest> {
    let failed = |error: io::Error| Error::because("write a file that was fetched", error);
    let total = download.length().unwrap_or(0);
    let too_large = || Error::Invalid(format!("the file has more than {MAX_BYTES} bytes"));
    if total > MAX_BYTES {
        return Err(too_large());
    }
    let mut file = File::create_new(path).map_err(failed)?;
    let (mut hash, mut come, mut told) = (Sha256::new(), 0, SystemTime::now());
    while let Some(bytes) = download.chunk().await.map_err(|error| Error::Invalid(error.to_string()))? {
        come += bytes.len() as u64;
        if come > MAX_BYTES {
            return Err(too_large());
        }
        hash.update(&bytes);
        file.write_all(&bytes).map_err(failed)?;
        if told.elapsed().is_ok_and(|since| since > Duration::from_millis(150)) {
            tell(come, total);
            told = SystemTime::now();
        }
    }
    tell(come, come);
    Ok(Digest::from_sha256(hash.finalize().into()))
}

/// Owner, mode and time: the server's, or none, as in Docker.
fn finish(path: &Path, source: &HttpSource, modified: Option<&str>) -> io::Result<()> {
    if source.uid.is_some() || source.gid.is_some() {
        std::os::unix::fs::chown(path, Some(source.uid.unwrap_or(0)), Some(source.gid.unwrap_or(0)))?;
    }
    fs::set_permissions(path, Permissions::from_mode(source.mode.unwrap_or(MODE)))?;
    let time = modified.and_then(|text| jiff::fmt::rfc2822::parse(text).ok());
    let seconds = time.map_or(0, |time| u64::try_from(time.timestamp().as_second()).unwrap_or(0));
    File::open(path)?.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

/// Whether a file is a tar archive, compressed or not.
fn is_archive(path: &Path) -> bool {
    let mut start = [0; tarball::BLOCK];
    let Ok(file) = File::open(path) else { return false };
    let Ok(mut input) = worker::decompress(Box::new(file)) else { return false };
    matches!(input.read_exact(&mut start), Ok(()) if tarball::is_tar_start(&start))
}
