//! Files from outside that stay for the next build: directories of clients', so that only what has changed travels, the
//! commits of git repositories, and files of web servers.
//!
//! ```text
//! <data>/build/sources/<name>/label.json  what it is; name = digest of that
//! <data>/build/sources/<name>/files/      its files
//! ```
//!
//! An entry is one build's until the build is over; another that comes meanwhile gets a directory of its own. A daemon
//! that is killed leaves a client's directory half like the client's, which the next build makes good. A commit's files
//! are not compared with anything, and so count only if they were whole before this run of the machine ends: nothing
//! waits for a disk. A web server's file is nobody's: each build has a name of its own of it ([`file`]).

mod file;

use std::collections::HashSet;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ::build::cache::Kind;
use jiff::Timestamp;
use oci::Digest;
use serde::{Deserialize, Serialize};

use super::{CacheRecord, Home};
use crate::error::{Error, Result};
use crate::layout::Layout;

pub(super) use file::{Kept, Note};

/// Directories and commits that are kept, and files of web servers.
const MAX_KEPT: usize = 32;
const MAX_FILES: usize = 256;
/// Longest label, in bytes.
const MAX_LABEL: usize = 64 << 10;
const LABEL: &str = "label.json";
const FILES: &str = "files";

/// Those that are in use, by their names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Contexts(Arc<Mutex<HashSet<String>>>);

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Label {
    /// For people.
    description: String,
    /// A client's directory, a repository, or a web server's file.
    kind: Kind,
    /// When it was first used.
    created: Timestamp,
    /// When it was last used.
    used: Timestamp,
    /// How often it was used.
    uses: u64,
    /// The run of the machine in which its files became whole.
    whole: Option<String>,
    /// What is known of a web server's file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file: Option<Note>,
}

impl Label {
    fn new(kind: Kind, description: String) -> Self {
        let now = Timestamp::now();
        Self { description, kind, created: now, used: now, uses: 0, whole: None, file: None }
    }

    /// Of a client's directory.
    pub(super) fn local(name: &str) -> Self {
        Self::new(Kind::SourceLocal, format!("local source for {name}"))
    }

    /// Of a repository.
    pub(super) fn git(location: String) -> Self {
        Self::new(Kind::SourceGit, format!("git snapshot for {location}"))
    }

    /// Of a web server's file; for BuildKit it is no kind of its own.
    fn http(shown: &str) -> Self {
        Self::new(Kind::Regular, format!("http url {shown}"))
    }
}

/// An entry's use by one build.
#[derive(Debug)]
pub(crate) struct InUse {
    contexts: Contexts,
    name: String,
    dir: PathBuf,
    files: PathBuf,
}

impl Contexts {
    fn lock(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The entry of a key; `None` if another build has it.
    ///
    /// # Errors
    /// The disk is full.
    pub(super) fn take(&self, layout: &Layout, key: &str, label: &Label) -> Result<Option<InUse>> {
        let name = Digest::sha256(key.as_bytes()).hex().to_owned();
        if !self.lock().insert(name.clone()) {
            return Ok(None);
        }
        let dir = layout.build_sources().join(&name);
        let taken = InUse { contexts: self.clone(), name, files: dir.join(FILES), dir };
        let failed = |error| Error::because(format!("create directory {}", taken.files.display()), error);
        DirBuilder::new().recursive(true).mode(0o700).create(&taken.files).map_err(failed)?;
        let before = read(&taken.dir).unwrap_or_else(|| label.clone());
        taken
            .write(&Label { used: Timestamp::now(), uses: before.uses + 1, ..before })
            .map_err(|error| Error::because(format!("write {}", taken.dir.join(LABEL).display()), error))?;
        self.forget_old(layout);
        Ok(Some(taken))
    }

    /// What is kept, as records of the cache.
    ///
    /// # Errors
    /// A directory can't be read.
    pub(super) fn records(&self, layout: &Layout) -> Result<Vec<CacheRecord>> {
        let mut records = Vec::new();
        for id in names(layout) {
            let dir = layout.build_sources().join(&id);
            // one that another removes right now is no more
            let Some(label) = read(&dir) else { continue };
            let in_use = self.lock().contains(&id);
            let size = sys::usage::of(&dir)
                .map_err(|error| Error::because(format!("measure {}", dir.display()), error))?;
            records.push(CacheRecord {
                id,
                parents: Vec::new(),
                kind: label.kind,
                description: label.description,
                in_use,
                shared: false,
                mutable: label.kind == Kind::SourceLocal,
                size,
                created: label.created,
                used: Some(label.used),
                uses: label.uses,
                home: Home::Source,
            });
        }
        Ok(records)
    }

    /// Removes one that no build has.
    pub(super) fn forget(&self, layout: &Layout, name: &str) {
        // held, so that no build takes it meanwhile
        let in_use = self.lock();
        if in_use.contains(name) {
            return;
        }
        let path = layout.build_sources().join(name);
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(path = %path.display(), %error, "files of an earlier build stay");
            }
            _ => {}
        }
    }

    /// Removes those that were not used for the longest time, but for so many.
    fn forget_old(&self, layout: &Layout) {
        let all = names(layout);
        if all.len() <= MAX_KEPT {
            return;
        }
        let (mut files, mut directories) = (Vec::new(), Vec::new());
        for name in all {
            let label = read(&layout.build_sources().join(&name));
            let is_file = label.as_ref().is_some_and(|label| label.kind == Kind::Regular);
            let list = if is_file { &mut files } else { &mut directories };
            list.push((label.map(|label| label.used), name));
        }
        for (mut list, most) in [(files, MAX_FILES), (directories, MAX_KEPT)] {
            list.sort();
            let surplus = list.len().saturating_sub(most);
            list.into_iter().take(surplus).for_each(|(_, name)| self.forget(layout, &name));
        }
    }

    /// Removes what a killed daemon has left of entries that have no label yet.
    pub(super) fn sweep(&self, layout: &Layout) {
        let unknown = |name: &String| read(&layout.build_sources().join(name)).is_none();
        names(layout).iter().filter(|name| unknown(name)).for_each(|name| self.forget(layout, name));
    }
}

/// The names of all entries.
fn names(layout: &Layout) -> Vec<String> {
    let Ok(entries) = fs::read_dir(layout.build_sources()) else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
}

fn read(dir: &Path) -> Option<Label> {
    let bytes = sys::file::read_bounded(dir.join(LABEL), MAX_LABEL).ok()?;
    serde_json::from_slice(&bytes).ok()
}

fn write(dir: &Path, label: &Label) -> io::Result<()> {
    let new = dir.join(".new");
    fs::write(&new, serde_json::to_vec(label)?)?;
    fs::rename(new, dir.join(LABEL))
}

/// This run of the machine.
fn run() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

impl InUse {
    /// Where the files are.
    pub(super) fn path(&self) -> &Path {
        &self.files
    }

    /// Whether the files are all that there should be.
    pub(super) fn is_whole(&self) -> bool {
        read(&self.dir).and_then(|label| label.whole).is_some_and(|whole| whole == run())
    }

    /// Makes a directory of the same file system the entry's files, by one rename.
    ///
    /// # Errors
    /// What is there can't be removed, or the directory not moved.
    pub(super) fn fill(&self, from: &Path) -> io::Result<()> {
        let label = read(&self.dir).ok_or(io::ErrorKind::NotFound)?;
        self.write(&Label { whole: None, ..label.clone() })?;
        fs::remove_dir_all(&self.files)?;
        fs::rename(from, &self.files)?;
        self.write(&Label { whole: Some(run()), ..label })
    }

    fn write(&self, label: &Label) -> io::Result<()> {
        write(&self.dir, label)
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        self.contexts.lock().remove(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_one_builds_and_whole_only_when_it_was_filled() {
        let data = tempfile::tempdir().unwrap();
        let layout = Layout::new(data.path(), data.path());
        let contexts = Contexts::default();
        let label = Label::git("https://h/x.git#1".into());
        let first = contexts.take(&layout, "a", &label).unwrap().unwrap();
        assert!(contexts.take(&layout, "a", &label).unwrap().is_none());
        assert!(!first.is_whole());
        let made = data.path().join("made");
        fs::create_dir(&made).unwrap();
        fs::write(made.join("file"), vec![1; 8192]).unwrap();
        first.fill(&made).unwrap();
        assert!(first.is_whole());
        let listed = contexts.records(&layout).unwrap();
        assert!(listed.len() == 1 && listed[0].in_use && listed[0].size >= 8192, "{listed:?}");
        contexts.forget(&layout, &listed[0].id);
        drop(first);
        let again = contexts.take(&layout, "a", &label).unwrap().unwrap();
        assert!(again.is_whole() && again.path().join("file").exists());
        assert_eq!(contexts.records(&layout).unwrap()[0].uses, 2);
        // files that a power cut may have spoilt
        let other = Label { whole: Some("another run".into()), ..read(&again.dir).unwrap() };
        again.write(&other).unwrap();
        assert!(!again.is_whole());
        drop(again);
        contexts.forget(&layout, &listed[0].id);
        assert!(contexts.records(&layout).unwrap().is_empty());
    }

    #[test]
    fn only_the_last_ones_stay() {
        let data = tempfile::tempdir().unwrap();
        let layout = Layout::new(data.path(), data.path());
        let contexts = Contexts::default();
        for number in 0..=MAX_KEPT {
            drop(contexts.take(&layout, &number.to_string(), &Label::local("context")).unwrap());
        }
        let listed = contexts.records(&layout).unwrap();
        assert_eq!(listed.len(), MAX_KEPT);
        let first = Digest::sha256(b"0");
        assert!(listed.iter().all(|kept| kept.id != first.hex()));
    }
}
