//! Image layouts and directories of caches on this machine: which document a name means, and noting another.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use oci::manifest::{MAX_DOCUMENT, REF_NAME};
use oci::{Descriptor, Digest, Index, media_type};

use super::temporary::random;
use crate::error::{Error, Result, reason};

/// The tag of what has none.
pub(super) const LATEST: &str = "latest";
/// What says that a directory is a layout, and which version of one.
const MARK: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;

/// A directory with blobs, and a list of what they are (image specification, "Image Layout").
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    dir: PathBuf,
    /// Blobs may be added.
    pub(super) takes: bool,
}

impl Layout {
    pub(super) fn new(dir: impl Into<PathBuf>, takes: bool) -> Self {
        Self { dir: dir.into(), takes }
    }

    /// Where a blob is, if it is here. No other name than a digest's can be asked for.
    pub(super) fn blob(&self, digest: &Digest) -> PathBuf {
        self.dir.join("blobs").join(digest.algorithm().as_str()).join(digest.hex())
    }

    fn failed(&self, what: &str) -> impl FnOnce(std::io::Error) -> Error {
        let what = format!("{what} {}", self.dir.display());
        move |error| Error::said(format!("{what}: {}", reason(&error)))
    }

    /// What the layout lists; `None` if there is no list.
    fn index(&self) -> Result<Option<Index>> {
        let mut bytes = Vec::new();
        match std::fs::File::open(self.dir.join("index.json")) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            file => file
                .and_then(|file| file.take(MAX_DOCUMENT + 1).read_to_end(&mut bytes))
                .map_err(self.failed("read the index of"))?,
        };
        let malformed = |why: String| Error::said(format!("the index of {}: {why}", self.dir.display()));
        if bytes.len() as u64 > MAX_DOCUMENT {
            return Err(malformed(format!("more than {MAX_DOCUMENT} bytes")));
        }
        serde_json::from_slice(&bytes).map(Some).map_err(|error| malformed(error.to_string()))
    }

    /// What a tag means; `None` if nothing has it.
    pub(super) fn find(&self, tag: &str) -> Result<Option<Descriptor>> {
        let Some(index) = self.index()? else { return Ok(None) };
        let named = |one: &&Descriptor| one.annotations.get(REF_NAME).is_some_and(|name| name == tag);
        Ok(index.manifests.iter().find(named).cloned())
    }

    /// The only thing that is listed, if it has no name.
    pub(super) fn only(&self) -> Result<Option<Descriptor>> {
        let Some(index) = self.index()? else { return Ok(None) };
        Ok(match index.manifests.as_slice() {
            [one] if !one.annotations.contains_key(REF_NAME) => Some(one.clone()),
            _ => None,
        })
    }

    /// Lists something under a tag, which whatever had it loses.
    pub(super) fn note(&self, tag: &str, what: &Descriptor) -> Result<()> {
        let mut index = self.index()?.unwrap_or_else(|| Index {
            schema_version: 2,
            media_type: Some(media_type::OCI_INDEX.to_owned()),
            manifests: Vec::new(),
            annotations: Default::default(),
        });
        index.manifests.retain(|one| {
            let name = one.annotations.get(REF_NAME);
            name.is_none_or(|name| name != tag) && (name.is_some() || one.digest != what.digest)
        });
        let mut what = what.clone();
        what.annotations.insert(REF_NAME.to_owned(), tag.to_owned());
        index.manifests.push(what);
        let bytes = serde_json::to_vec(&index).map_err(|error| Error::said(error.to_string()))?;
        self.write("oci-layout", MARK.as_bytes())?;
        self.write("index.json", &bytes)
    }

    /// A file that appears whole.
    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let new = self.dir.join(format!(".{name}.{}", random(8)?));
        let written = std::fs::write(&new, bytes).and_then(|()| std::fs::rename(&new, self.dir.join(name)));
        written.map_err(|error| {
            // the first failure is the one to tell
            let _ = std::fs::remove_file(&new);
            self.failed("write the index of")(error)
        })
    }

    /// A place for a blob that comes.
    pub(super) fn incoming(&self) -> std::io::Result<PathBuf> {
        std::fs::create_dir_all(self.dir.join("blobs/sha256"))?;
        let name = random(8).map_err(std::io::Error::other)?;
        Ok(self.dir.join("blobs").join(format!(".new-{name}")))
    }

    /// The directory.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_one_things() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path(), true);
        assert_eq!(layout.find(LATEST).unwrap(), None);
        let thing = |text: &str| {
            Descriptor::new(media_type::OCI_MANIFEST, Digest::sha256(text.as_bytes()), text.len() as u64)
        };
        layout.note(LATEST, &thing("a")).unwrap();
        layout.note("b", &thing("a")).unwrap();
        layout.note(LATEST, &thing("c")).unwrap();
        assert_eq!(layout.find(LATEST).unwrap().unwrap().digest, thing("c").digest);
        assert_eq!(layout.find("b").unwrap().unwrap().digest, thing("a").digest);
        assert_eq!(layout.index().unwrap().unwrap().manifests.len(), 2);
        assert!(dir.path().join("oci-layout").exists() && layout.only().unwrap().is_none());
        std::fs::write(dir.path().join("index.json"), "{").unwrap();
        assert!(layout.find(LATEST).unwrap_err().to_string().contains("the index of"));
    }
}
