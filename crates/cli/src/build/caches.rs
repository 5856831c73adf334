//! `--cache-from` and `--cache-to`: where results of builds come from, and where they go for other builds.

use std::collections::{BTreeMap, HashMap};

use buildkit::method;
use buildkit::proto::control::{CacheOptions, CacheOptionsEntry};
use oci::Descriptor;

use super::layout::{LATEST, Layout};
use crate::error::{Error, Result, reason};
use crate::flag::Matches;
use crate::opts::kv;

/// The caches of a build.
#[derive(Debug, Default)]
pub(super) struct Caches {
    /// As the daemon is told.
    pub(super) wire: CacheOptions,
    /// Directories of this machine, by their stores' names.
    pub(super) layouts: BTreeMap<String, Layout>,
    /// Those of them in which what was made is noted, and under which tag.
    pub(super) noted: Vec<(Layout, String)>,
    /// What the user should know.
    pub(super) warnings: Vec<String>,
}

impl Caches {
    /// Reads the flags.
    pub(super) fn read(matches: &Matches) -> Result<Self> {
        let mut all = Self::default();
        for text in matches.all("cache-from") {
            let mut entry = entry(text)?;
            if entry.r#type != "local" || all.source(text, &mut entry)? {
                all.wire.imports.push(entry);
            }
        }
        for text in matches.all("cache-to") {
            let entry = entry(text)?;
            if entry.r#type == "local" {
                all.target(text, &entry)?;
            }
            all.wire.exports.push(entry);
        }
        Ok(all)
    }

    /// Looks up what of a directory is meant; whether there is any.
    fn source(&mut self, text: &str, entry: &mut CacheOptionsEntry) -> Result<bool> {
        let wrong = |why: &str| Error::said(format!("invalid cache {text}: {why}"));
        let src = entry.attrs.get("src").filter(|src| !src.is_empty());
        let src = src.ok_or_else(|| wrong("local cache importer requires src"))?.clone();
        let layout = Layout::new(&src, false);
        if !layout.dir().is_dir() {
            // the first build has none yet
            self.warnings.push(format!("local cache import at {src} not found"));
            return Ok(false);
        }
        if !entry.attrs.contains_key("digest") {
            let tag = entry.attrs.get("tag").map_or(LATEST, String::as_str);
            let Some(found) = layout.find(tag)? else {
                self.warnings.push(format!("local cache import at {src}: nothing is called {tag:?} there"));
                return Ok(false);
            };
            entry.attrs.insert("digest".to_owned(), found.digest.to_string());
        }
        let name = format!("{}{src}", method::store::CACHE);
        self.layouts.entry(name).or_insert(layout);
        Ok(true)
    }

    /// Makes the directory that a cache goes to.
    fn target(&mut self, text: &str, entry: &CacheOptionsEntry) -> Result<()> {
        let wrong = |why: &str| Error::said(format!("invalid cache {text}: {why}"));
        let dest = entry.attrs.get("dest").filter(|dest| !dest.is_empty());
        let dest = dest.ok_or_else(|| wrong("local cache exporter requires dest"))?;
        std::fs::create_dir_all(dest)
            .map_err(|error| Error::said(format!("create {dest}: {}", reason(&error))))?;
        let layout = Layout::new(dest, true);
        let tag = entry.attrs.get("tag").map_or(LATEST, String::as_str);
        self.noted.push((layout.clone(), tag.to_owned()));
        self.layouts.insert(format!("{}{dest}", method::store::CACHE), layout);
        Ok(())
    }
}

/// Notes what was made, as the daemon tells it (`cache.manifest`).
pub(super) fn note(noted: &[(Layout, String)], told: Option<&String>) -> Result<()> {
    // with `ignore-error` it may have made none
    let Some(told) = told.filter(|_| !noted.is_empty()) else { return Ok(()) };
    let made: Descriptor = serde_json::from_str(told)
        .map_err(|error| Error::said(format!("the daemon's answer about the cache: {error}")))?;
    for (layout, tag) in noted {
        // one that could not be written is without it
        if layout.blob(&made.digest).exists() {
            layout.note(tag, &made)?;
        }
    }
    Ok(())
}

fn entry(text: &str) -> Result<CacheOptionsEntry> {
    if !text.contains('=') {
        let attrs = HashMap::from([("ref".to_owned(), text.to_owned())]);
        return Ok(CacheOptionsEntry { r#type: "registry".to_owned(), attrs });
    }
    let wrong = |why: &str| Error::said(format!("invalid cache {text}: {why}"));
    let fields = kv::csv(text).map_err(|error| wrong(&error))?;
    let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
    let mut attrs: HashMap<String, String> = kv::map(&fields).into_iter().collect();
    let kind = attrs.remove("type").ok_or_else(|| wrong("type required form"))?;
    Ok(CacheOptionsEntry { r#type: kind, attrs })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caches_of_registries_need_only_a_name() {
        let named = entry("busybox").unwrap();
        assert_eq!((named.r#type.as_str(), named.attrs["ref"].as_str()), ("registry", "busybox"));
        let local = entry("type=local,src=x").unwrap();
        assert_eq!((local.r#type.as_str(), local.attrs["src"].as_str()), ("local", "x"));
    }

    #[test]
    fn a_directory_s_digest_is_looked_up_here() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_str().unwrap();
        let text = format!("type=local,src={path}");
        let mut all = Caches::default();
        assert!(!all.source(&text, &mut entry(&text).unwrap()).unwrap());
        assert!(all.warnings[0].contains("nothing is called"), "{:?}", all.warnings);
        let made = Descriptor::new(oci::media_type::OCI_MANIFEST, oci::Digest::sha256(b"x"), 1);
        Layout::new(path, true).note(LATEST, &made).unwrap();
        let mut found = entry(&text).unwrap();
        assert!(all.source(&text, &mut found).unwrap());
        assert_eq!(found.attrs["digest"], made.digest.to_string());
        assert!(all.layouts.contains_key(&format!("local:{path}")));
        let gone = "type=local,src=/nonexistent";
        assert!(!all.source(gone, &mut entry(gone).unwrap()).unwrap());
        assert!(all.source("type=local", &mut entry("type=local").unwrap()).is_err());
    }
}
