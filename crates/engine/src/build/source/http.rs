//! A file that a web server has: fetched once for each state of it.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ::build::graph::{HttpSource, redacted};
use ::build::{Error, Result};
use oci::Digest;
use registry::client::{Credentials, Download, Validators};
use sha2::{Digest as _, Sha256};

use super::super::contexts::{Kept, Note};
use super::super::trees::Directory;
use super::super::{context, worker};
use super::{Fetcher, Tell};

/// Largest file that is fetched, in bytes.
const MAX_BYTES: u64 = 64 << 30;
/// How often a file is asked for whose connection is lost in the middle.
const ATTEMPTS: usize = 3;
/// The mode of files that nobody gives one, as in Docker.
const MODE: u32 = 0o600;
/// What a file is called that nobody names.
const UNNAMED: &str = "download";
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
        let key = format!("http\0{}\0{attributes:?}", source.url);
        let contexts = &self.engine.builder.contexts;
        let kept = contexts.file(&self.engine.layout, &key, &redacted(&source.url));
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
        kept: &Kept<'_>,
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
            let mut left = ATTEMPTS;
            let (download, digest) = loop {
                let answer =
                    client.client.fetch_changed(&url, &credentials, &validators).await.map_err(failed)?;
                let Some(mut download) = answer else {
                    return known
                        .map(|note| note.digest)
                        .ok_or_else(|| Error::Invalid("nothing came".into()));
                };
                // the name may be that of the former bytes, or of the part that came before
                let _ = fs::remove_file(path);
                left -= 1;
                match receive(&mut download, path, tell).await {
                    Ok(digest) => break (download, digest),
                    Err(Lost::Connection(error)) if left > 0 => {
                        tracing::debug!(%error, "a file for a build is asked for again");
                    }
                    Err(Lost::Connection(error)) => return Err(failed(error)),
                    Err(Lost::File(error)) => return Err(error),
                }
            };
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

/// Why a file did not come.
enum Lost {
    /// The server, or what lies between: it may come when it is asked for again.
    Connection(registry::client::Error),
    /// It can't be had.
    File(Error),
}

async fn receive(download: &mut Download, path: &Path, tell: Tell<'_>) -> Result<Digest, Lost> {
    let failed = |error: io::Error| Lost::File(Error::because("write a file that was fetched", error));
    let total = download.length().unwrap_or(0);
    let too_large = || Lost::File(Error::Invalid(format!("the file has more than {MAX_BYTES} bytes")));
    if total > MAX_BYTES {
        return Err(too_large());
    }
    let mut file = File::create_new(path).map_err(failed)?;
    let (mut hash, mut come, mut told) = (Sha256::new(), 0, SystemTime::now());
    while let Some(bytes) = download.chunk().await.map_err(Lost::Connection)? {
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
