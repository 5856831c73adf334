//! Images on their way out as an OCI image layout: a directory that goes with its value, and the archive of it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use oci::Digest;
use tarball::TarWriter;

use crate::error::Context;
use crate::layer::LayerBlob;
use crate::push::{Form, PushPlan};
use crate::save::{BLOB_MODE, DOCUMENT_MODE, MARK};
use crate::scratch::Scratch;
use crate::{Result, Store};

/// Bytes of a file that are copied at once.
const CHUNK: usize = 1 << 20;

/// An image layout that is being made.
#[derive(Debug)]
pub struct OciLayout {
    place: Scratch,
    /// Sizes of the blobs, by their digests' hex digits.
    blobs: BTreeMap<String, u64>,
    /// What lies beside them.
    documents: BTreeMap<&'static str, Vec<u8>>,
}

impl Store {
    /// An empty layout.
    ///
    /// # Errors
    /// [`crate::Error::NoSpace`].
    pub fn oci_layout(&self) -> Result<OciLayout> {
        let layout = OciLayout { place: self.scratch()?, blobs: BTreeMap::new(), documents: BTreeMap::new() };
        let dir = layout.blobs();
        fs::create_dir_all(&dir).at("create", &dir)?;
        for dir in [layout.place.path().to_owned(), layout.place.path().join("blobs"), dir] {
            fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).at("change the mode of", &dir)?;
        }
        Ok(layout)
    }
}

impl OciLayout {
    fn blobs(&self) -> PathBuf {
        self.place.path().join("blobs/sha256")
    }

    /// Adds a layer.
    ///
    /// # Errors
    /// The layer is not what it was; [`crate::Error::NoSpace`].
    pub fn layer(&mut self, plan: &PushPlan, position: usize, form: Form) -> Result<LayerBlob> {
        let path = self.blobs().join(".layer");
        let mut file = File::create(&path).at("create", &path)?;
        let mut encoding = plan.encode(position, form)?;
        while let Some(chunk) = encoding.next_chunk()? {
            file.write_all(&chunk).at("write", &path)?;
        }
        let blob = encoding.finish()?;
        self.place(&path, &blob.digest, blob.size)?;
        Ok(blob)
    }

    fn place(&mut self, from: &PathBuf, digest: &Digest, size: u64) -> Result<()> {
        fs::set_permissions(from, fs::Permissions::from_mode(BLOB_MODE)).at("change the mode of", from)?;
        let to = self.blobs().join(digest.hex());
        fs::rename(from, &to).at("rename to", &to)?;
        self.blobs.insert(digest.hex().to_owned(), size);
        Ok(())
    }

    /// Opens a blob that was added.
    ///
    /// # Errors
    /// There is none of this digest.
    pub fn open(&self, digest: &Digest) -> Result<File> {
        let path = self.blobs().join(digest.hex());
        File::open(&path).at("open", &path)
    }

    /// Adds a blob that is at hand.
    ///
    /// # Errors
    /// [`crate::Error::NoSpace`].
    pub fn blob(&mut self, bytes: &[u8]) -> Result<()> {
        let path = self.blobs().join(".blob");
        fs::write(&path, bytes).at("write", &path)?;
        self.place(&path, &Digest::sha256(bytes), bytes.len() as u64)
    }

    /// Completes it with its index, and with Docker's list of images if it is given.
    ///
    /// # Errors
    /// [`crate::Error::NoSpace`].
    pub fn finish(&mut self, index: Vec<u8>, docker: Option<Vec<u8>>) -> Result<()> {
        self.documents.insert("index.json", index);
        self.documents.insert("oci-layout", MARK.to_vec());
        self.documents.extend(docker.map(|bytes| ("manifest.json", bytes)));
        for (name, bytes) in &self.documents {
            let path = self.place.path().join(name);
            fs::write(&path, bytes).at("write", &path)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(DOCUMENT_MODE))
                .at("change the mode of", &path)?;
        }
        Ok(())
    }

    /// The directory.
    pub fn path(&self) -> &std::path::Path {
        self.place.path()
    }

    /// Writes it as an archive, the same bytes for the same images.
    ///
    /// # Errors
    /// The output's failure, or a file's.
    pub fn write(&self, output: &mut dyn Write) -> Result<()> {
        let what = "write the archive";
        let mut tar = TarWriter::new(output);
        tar.directory("blobs/").context(what)?;
        tar.directory("blobs/sha256/").context(what)?;
        for (hex, size) in &self.blobs {
            let path = self.blobs().join(hex);
            let mut file = File::open(&path).at("open", &path)?.take(*size);
            tar.begin_file(&format!("blobs/sha256/{hex}"), BLOB_MODE, *size).context(what)?;
            let mut chunk = vec![0; CHUNK.min(usize::try_from(*size).unwrap_or(CHUNK))];
            let mut left = *size;
            while left > 0 {
                let count = file.read(&mut chunk).at("read", &path)?;
                if count == 0 {
                    return Err(io::Error::from(io::ErrorKind::UnexpectedEof)).at("read", &path);
                }
                tar.content(&chunk[..count]).context(what)?;
                left -= count as u64;
            }
            tar.end_file(*size).context(what)?;
        }
        for (name, bytes) in &self.documents {
            tar.file(name, DOCUMENT_MODE, bytes).context(what)?;
        }
        tar.finish().context(what).map(drop)
    }
}
