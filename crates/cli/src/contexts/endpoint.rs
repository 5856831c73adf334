//! `--docker host=…,ca=…,cert=…,key=…,skip-tls-verify=…,from=…`

use std::path::Path;

use super::{DOCKER, Store, TlsFiles};
use crate::client::{Choice, Endpoint, Host};
use crate::error::{Error, Result, reason};
use crate::opts::kv;

/// The longest file of a certificate or key, in bytes.
const LIMIT: usize = 4 << 20;

/// What the words say; empty: nothing.
#[derive(Debug, Default)]
pub(crate) struct Options(Vec<(String, String)>);

/// An endpoint with everything that belongs to it.
pub(crate) struct Described {
    /// Its address.
    pub(crate) host: String,
    /// Whether the daemon need not prove who it is.
    pub(crate) skip_verify: bool,
    /// Certificates and keys.
    pub(crate) tls: Vec<(String, TlsFiles)>,
}

/// Reads the words of `--docker`.
///
/// # Errors
/// pflag's sentence.
pub(crate) fn parse_options(given: &[&str]) -> Result<Options> {
    let mut pairs = Vec::new();
    for word in given {
        let fields = kv::csv(word).map_err(|text| wrong(word, &text))?;
        for field in fields {
            let (key, value) = field
                .split_once('=')
                .ok_or_else(|| wrong(word, &format!("{field} must be formatted as key=value")))?;
            pairs.push((key.to_owned(), value.to_owned()));
        }
    }
    Ok(Options(pairs))
}

fn wrong(word: &str, text: &str) -> Error {
    Error::Flag(format!("invalid argument \"{word}\" for \"--docker\" flag: {text}"))
}

impl Options {
    /// Whether nothing was said.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// What they come to. `from` is another context's endpoint as it stands, whatever else is said.
    pub(crate) fn describe(&self, store: &Store, choice: &Choice) -> Result<Described> {
        self.described(store, choice)
            .map_err(|error| Error::said(format!("unable to create docker endpoint config: {error}")))
    }

    fn described(&self, store: &Store, choice: &Choice) -> Result<Described> {
        const KNOWN: [&str; 6] = ["from", "host", "ca", "cert", "key", "skip-tls-verify"];
        if let Some((key, _)) = self.0.iter().find(|(key, _)| !KNOWN.contains(&key.as_str())) {
            return Err(Error::said(format!("unrecognized config key: {key}")));
        }
        if let Some(name) = self.get("from").filter(|name| !name.is_empty()) {
            return copied(store, choice, name);
        }
        let mut files = TlsFiles::new();
        for (key, name) in [("ca", "ca.pem"), ("cert", "cert.pem"), ("key", "key.pem")] {
            if let Some(path) = self.get(key).filter(|path| !path.is_empty()) {
                let content = sys::file::read_bounded(Path::new(path), LIMIT)
                    .map_err(|error| Error::said(format!("open {path}: {}", reason(&error))))?;
                check_pem(key, &content)?;
                files.push((name.to_owned(), content));
            }
        }
        let skip_verify = match self.get("skip-tls-verify") {
            None | Some("") => false,
            Some(text) => crate::flag::check::parse_bool(text).map_err(|_error| {
                Error::said(format!("skip-tls-verify: parsing \"{text}\": invalid syntax"))
            })?,
        };
        let host = self.get("host").unwrap_or_default();
        if !host.is_empty() && !host.contains("://") {
            return Err(Error::said(format!(
                "unable to apply docker endpoint options: unable to parse docker host `{host}`"
            )));
        }
        // ssh's addresses are judged now, as Docker does; others when they are used
        if host.starts_with("ssh://") {
            Host::parse(host)?;
        }
        Ok(Described { host: host.to_owned(), skip_verify, tls: with_files(files) })
    }
}

fn with_files(files: TlsFiles) -> Vec<(String, TlsFiles)> {
    vec![(DOCKER.to_owned(), files)]
}

fn check_pem(key: &str, content: &[u8]) -> Result<()> {
    let begins = content.windows(11).any(|bytes| bytes == b"-----BEGIN ");
    if begins {
        return Ok(());
    }
    Err(Error::said(format!(
        "invalid docker endpoint options: failed to retrieve context tls info: {key}.pem seems invalid"
    )))
}

/// The endpoint of another context, or of what flags and environment say.
pub(crate) fn copied(store: &Store, choice: &Choice, name: &str) -> Result<Described> {
    if name == super::DEFAULT {
        return current(choice);
    }
    let stored = store.get(name)?;
    let (host, skip_verify) = stored.docker().unwrap_or_default();
    let tls = stored.tls()?.into_iter().find(|(endpoint, _)| endpoint == DOCKER);
    let files = tls.map(|(_, files)| files).unwrap_or_default();
    Ok(Described { host: host.to_owned(), skip_verify, tls: with_files(files) })
}

fn current(choice: &Choice) -> Result<Described> {
    let Endpoint { host, tls } = choice.resolve_default()?;
    let mut files = TlsFiles::new();
    if let Some(material) = &tls {
        for (path, name) in
            [(&material.ca, "ca.pem"), (&material.cert, "cert.pem"), (&material.key, "key.pem")]
        {
            if let Some(path) = path {
                let content = sys::file::read_bounded(path, LIMIT)
                    .map_err(|error| Error::said(format!("open {}: {}", path.display(), reason(&error))))?;
                files.push((name.to_owned(), content));
            }
        }
    }
    let skip_verify = tls.is_some_and(|material| !material.verify);
    Ok(Described { host: host.to_string(), skip_verify, tls: with_files(files) })
}
