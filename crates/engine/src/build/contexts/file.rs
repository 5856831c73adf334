//! A file of a web server's, with what the server said of it, so that its bytes come once for each state of the file:
//!
//! ```text
//! <data>/build/sources/<name>/files/<digest>  its bytes; what is known of them stands in the label
//! ```
//!
//! A build has a name of its own of the bytes (link(2)), and compares their digest before it relies on them: so nothing
//! waits for a disk, what a power cut has spoilt is fetched again, and any number of builds have it at once.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use oci::Digest;
use serde::{Deserialize, Serialize};

use super::super::file_digest;
use super::{Contexts, FILES, Label, read, write};
use crate::layout::Layout;

/// What is known of a kept file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::build) struct Note {
    pub(in crate::build) digest: Digest,
    pub(in crate::build) etag: Option<String>,
    pub(in crate::build) modified: Option<String>,
}

/// Where a file is kept, or will be.
pub(in crate::build) struct Kept<'a> {
    contexts: &'a Contexts,
    layout: &'a Layout,
    dir: PathBuf,
    label: Label,
}

impl Contexts {
    /// The file of a key; `shown` is its URL without secrets.
    pub(in crate::build) fn file<'a>(&'a self, layout: &'a Layout, key: &str, shown: &str) -> Kept<'a> {
        let dir = layout.build_sources().join(Digest::sha256(key.as_bytes()).hex());
        Kept { contexts: self, layout, dir, label: Label::http(shown) }
    }
}

impl Kept<'_> {
    fn bytes(&self, digest: &Digest) -> PathBuf {
        self.dir.join(FILES).join(digest.hex())
    }

    /// The kept file under a name of the caller's, if it is what it was.
    pub(in crate::build) fn take(&self, place: &Path) -> Option<Note> {
        let note = read(&self.dir)?.file?;
        fs::hard_link(self.bytes(&note.digest), place).ok()?;
        let same = file_digest(place).is_ok_and(|found| found == note.digest);
        if !same {
            // another comes in its place
            let _ = fs::remove_file(place);
            return None;
        }
        let _alone = self.contexts.lock();
        if let Some(label) = read(&self.dir) {
            // only when it was last used is forgotten
            let _ = write(&self.dir, &Label { used: Timestamp::now(), uses: label.uses + 1, ..label });
        }
        Some(note)
    }

    /// Keeps a file in the place of the one that was kept.
    ///
    /// # Errors
    /// The disk is full.
    pub(in crate::build) fn put(&self, place: &Path, note: &Note) -> io::Result<()> {
        let alone = self.contexts.lock();
        let files = self.dir.join(FILES);
        DirBuilder::new().recursive(true).mode(0o700).create(&files)?;
        let label = read(&self.dir).unwrap_or_else(|| self.label.clone());
        // with a label it is known from its first byte on, and no file counts meanwhile
        write(&self.dir, &Label { file: None, ..label.clone() })?;
        for entry in fs::read_dir(&files)? {
            fs::remove_file(entry?.path())?;
        }
        fs::hard_link(place, self.bytes(&note.digest))?;
        let uses = label.uses + 1;
        write(&self.dir, &Label { file: Some(note.clone()), used: Timestamp::now(), uses, ..label })?;
        drop(alone);
        self.contexts.forget_old(self.layout);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ::build::cache::Kind;

    use super::*;

    #[test]
    fn a_file_is_kept_until_another_comes_and_only_as_it_was() {
        let data = tempfile::tempdir().unwrap();
        let (layout, contexts) = (Layout::new(data.path(), data.path()), Contexts::default());
        let kept = contexts.file(&layout, "http\0u", "https://xxxxx@h/u");
        let place = |name: &str| data.path().join(name);
        assert_eq!(kept.take(&place("none")), None);
        let note =
            |bytes: &[u8]| Note { digest: Digest::sha256(bytes), etag: Some("e".into()), modified: None };
        for bytes in [vec![1; 9000], vec![2; 9000]] {
            fs::write(place("come"), &bytes).unwrap();
            kept.put(&place("come"), &note(&bytes)).unwrap();
            fs::remove_file(place("come")).unwrap();
            assert_eq!(kept.take(&place("lent")), Some(note(&bytes)));
            assert_eq!(fs::read(place("lent")).unwrap(), bytes);
            fs::remove_file(place("lent")).unwrap();
        }
        let listed = contexts.records(&layout).unwrap();
        let [record] = listed.as_slice() else { panic!("{listed:?}") };
        assert_eq!((record.kind, record.uses, record.in_use), (Kind::Regular, 4, false));
        assert_eq!(record.description, "http url https://xxxxx@h/u");
        // one file of two, with its directories and the label
        assert!((9000..30_000).contains(&record.size), "{record:?}");
        fs::write(kept.bytes(&note(&[2; 9000]).digest), "spoilt").unwrap();
        assert_eq!(kept.take(&place("lent")), None);
        assert!(!place("lent").exists());
        contexts.forget(&layout, &record.id);
        assert!(contexts.records(&layout).unwrap().is_empty() && kept.take(&place("lent")).is_none());
    }
}
