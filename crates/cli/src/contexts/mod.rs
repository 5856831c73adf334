//! Daemons that have names, as Docker keeps them below the configuration directory: `contexts/meta/SHA256(NAME)/meta.json`
//! and `contexts/tls/SHA256(NAME)/ENDPOINT/FILE`. What other programs have put there is kept as it is.

mod archive;
mod endpoint;
mod natural;

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use sha2::Digest as _;

pub(crate) use archive::{export, import};
pub(crate) use endpoint::{copied, parse_options};
pub(crate) use natural::compare as compare_names;

use crate::error::{Error, Result, reason};
use crate::format::json::Json;

/// The context of flags, environment and default socket; it is not stored.
pub(crate) const DEFAULT: &str = "default";
/// What it is described as.
pub(crate) const DEFAULT_ABOUT: &str = "Current DOCKER_HOST based configuration";
/// The longest description of a context, in bytes.
const LIMIT: usize = 4 << 20;
/// The endpoint that is ours.
const DOCKER: &str = "docker";

/// The contexts of one configuration directory.
pub(crate) struct Store {
    root: PathBuf,
}

/// One context.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    /// Its name.
    pub(crate) name: String,
    /// The document, all of it.
    pub(crate) meta: Json,
    /// Where that lies.
    pub(crate) meta_dir: PathBuf,
    /// Where its certificates and keys lie, in a directory for each endpoint.
    pub(crate) tls_dir: PathBuf,
}

/// Certificates and keys of one endpoint: name and content of each file.
pub(crate) type TlsFiles = Vec<(String, Vec<u8>)>;

impl Stored {
    /// Address of the daemon, and whether it need not prove who it is.
    pub(crate) fn docker(&self) -> Option<(&str, bool)> {
        let docker = self.meta.at(&["Endpoints", DOCKER])?;
        let skip = matches!(docker.get("SkipTLSVerify"), Some(Json::Bool(true)));
        Some((docker.get("Host").and_then(Json::as_str).unwrap_or_default(), skip))
    }

    /// What it is described as.
    pub(crate) fn about(&self) -> &str {
        self.meta.at(&["Metadata", "Description"]).and_then(Json::as_str).unwrap_or_default()
    }

    /// Every endpoint that has files, and those.
    pub(crate) fn tls(&self) -> Result<Vec<(String, TlsFiles)>> {
        let mut all = Vec::new();
        for endpoint in names(&self.tls_dir)? {
            let dir = self.tls_dir.join(&endpoint);
            let mut files = TlsFiles::new();
            for name in names(&dir)? {
                let path = dir.join(&name);
                let content = sys::file::read_bounded(&path, LIMIT).map_err(failed("read", &path))?;
                files.push((name, content));
            }
            all.push((endpoint, files));
        }
        Ok(all)
    }
}

/// A context's document in Docker's order; an empty description is left out.
pub(crate) fn meta(name: &str, about: &str, host: &str, skip_verify: bool) -> Json {
    let text = |text: &str| Json::String(text.to_owned());
    let about = if about.is_empty() { vec![] } else { vec![("Description".to_owned(), text(about))] };
    let docker = vec![("Host".to_owned(), text(host)), ("SkipTLSVerify".to_owned(), Json::Bool(skip_verify))];
    Json::Object(vec![
        ("Name".to_owned(), text(name)),
        ("Metadata".to_owned(), Json::Object(about)),
        ("Endpoints".to_owned(), Json::Object(vec![(DOCKER.to_owned(), Json::Object(docker))])),
    ])
}

/// `document` with `value` at `path`, whose objects are made where they are missing; `None` takes it away.
pub(crate) fn set(document: &mut Json, path: &[&str], value: Option<Json>) {
    if !matches!(document, Json::Object(_)) {
        *document = Json::Object(Vec::new());
    }
    let (Json::Object(members), Some((name, rest))) = (document, path.split_first()) else { return };
    let at = members.iter().position(|(key, _)| key == name);
    match (at, rest.is_empty(), value) {
        (Some(at), true, Some(value)) => members[at].1 = value,
        (Some(at), true, None) => drop(members.remove(at)),
        (Some(at), false, value) => set(&mut members[at].1, rest, value),
        (None, true, Some(value)) => members.push(((*name).to_owned(), value)),
        (None, false, Some(value)) => {
            let mut inner = Json::Null;
            set(&mut inner, rest, Some(value));
            members.push(((*name).to_owned(), inner));
        }
        (None, _, None) => {}
    }
}

/// Refuses what can't be a context's name.
pub(crate) fn check_name(name: &str) -> Result<()> {
    if name == DEFAULT {
        return Err(Error::said("\"default\" is a reserved context name"));
    }
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"_.+-".contains(&byte);
    let bytes = name.as_bytes();
    if bytes.len() < 2 || !bytes[0].is_ascii_alphanumeric() || !bytes.iter().all(|byte| inner(*byte)) {
        return Err(Error::said(format!(
            "context name \"{name}\" is invalid, names are validated against regexp \"^[a-zA-Z0-9][a-zA-Z0-9_.+-]+$\""
        )));
    }
    Ok(())
}

impl Store {
    /// The store of a configuration directory; nothing is touched.
    pub(crate) fn new(config_dir: &Path) -> Self {
        Self { root: config_dir.join("contexts") }
    }

    fn meta_dir(&self, name: &str) -> PathBuf {
        self.root.join("meta").join(hex::encode(sha2::Sha256::digest(name)))
    }

    fn tls_dir(&self, name: &str) -> PathBuf {
        self.root.join("tls").join(hex::encode(sha2::Sha256::digest(name)))
    }

    /// Whether there is one of that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.meta_dir(name).join("meta.json").exists()
    }

    /// One context.
    ///
    /// # Errors
    /// There is none, or its document can't be read.
    pub(crate) fn get(&self, name: &str) -> Result<Stored> {
        let meta_dir = self.meta_dir(name);
        let meta = document(&meta_dir).map_err(|error| match error {
            Unread::Absent(text) => Error::said(format!("context \"{name}\": context not found: {text}")),
            Unread::Broken(text) => Error::said(format!("context \"{name}\": {text}")),
        })?;
        Ok(Stored { name: name.to_owned(), meta, meta_dir, tls_dir: self.tls_dir(name) })
    }

    /// All contexts, by name as people sort them.
    pub(crate) fn list(&self) -> Result<Vec<Stored>> {
        let mut all = Vec::new();
        let dir = self.root.join("meta");
        for id in names(&dir)? {
            let meta_dir = dir.join(&id);
            let meta = match document(&meta_dir) {
                Ok(meta) => meta,
                // one that is just being made or removed
                Err(Unread::Absent(_)) => continue,
                Err(Unread::Broken(text)) => {
                    return Err(Error::said(format!("failed to read metadata: {text}")));
                }
            };
            let name = meta.get("Name").and_then(Json::as_str).unwrap_or_default().to_owned();
            let tls_dir = self.root.join("tls").join(&id);
            all.push(Stored { name, meta, meta_dir, tls_dir });
        }
        all.sort_by(|a, b| natural::compare(&a.name, &b.name));
        Ok(all)
    }

    /// Makes a context, or replaces it: first its keys, then the document that makes it one.
    pub(crate) fn put(&self, name: &str, meta: &Json, tls: &[(String, TlsFiles)]) -> Result<()> {
        make_dir(&self.root, 0o755)?;
        self.put_tls(name, tls)?;
        let dir = self.meta_dir(name);
        make_dir(&dir, 0o755)?;
        let path = dir.join("meta.json");
        replace(&path, meta.compact_escaped().as_bytes(), 0o644).map_err(failed("write", &path))
    }

    /// Replaces certificates and keys of all endpoints that are named.
    fn put_tls(&self, name: &str, tls: &[(String, TlsFiles)]) -> Result<()> {
        let dir = self.tls_dir(name);
        for (endpoint, files) in tls {
            let dir = dir.join(endpoint);
            remove_all(&dir)?;
            for (name, content) in files {
                make_dir(&dir, 0o700)?;
                let path = dir.join(name);
                replace(&path, content, 0o600).map_err(failed("write", &path))?;
            }
        }
        Ok(())
    }

    /// Forgets a context, its keys first.
    pub(crate) fn remove(&self, name: &str) -> Result<()> {
        remove_all(&self.tls_dir(name))?;
        remove_all(&self.meta_dir(name))
    }
}

enum Unread {
    Absent(String),
    Broken(String),
}

fn document(dir: &Path) -> Result<Json, Unread> {
    let path = dir.join("meta.json");
    let bytes = sys::file::read_bounded(&path, LIMIT).map_err(|error| {
        let text = format!("open {}: {}", path.display(), reason(&error));
        if error.kind() == io::ErrorKind::NotFound { Unread::Absent(text) } else { Unread::Broken(text) }
    })?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Unread::Broken(format!("parsing {}: {error}", path.display())))
}

/// Names in a directory, sorted; none where there is no directory.
fn names(dir: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed("open", dir)(error)),
    };
    let mut all = Vec::new();
    for entry in entries {
        all.push(entry.map_err(failed("read", dir))?.file_name().to_string_lossy().into_owned());
    }
    all.sort();
    Ok(all)
}

fn make_dir(dir: &Path, mode: u32) -> Result<()> {
    DirBuilder::new().recursive(true).mode(mode).create(dir).map_err(failed("mkdir", dir))
}

fn remove_all(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", dir)(error)),
        _ => Ok(()),
    }
}

/// Writes a file that appears whole.
fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let fresh = path.with_extension(format!("{}.tmp", std::process::id()));
    drop(fs::remove_file(&fresh));
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&fresh)
        .and_then(|mut file| file.write_all(content))
        .and_then(|()| fs::rename(&fresh, path));
    written.inspect_err(|_| drop(fs::remove_file(&fresh)))
}

fn failed<'a>(what: &'a str, path: &'a Path) -> impl FnOnce(io::Error) -> Error + 'a {
    move |error| Error::said(format!("{what} {}: {}", path.display(), reason(&error)))
}

#[cfg(test)]
mod tests;
