//! Saving images in the layout of today's `docker save`: an OCI layout with a `manifest.json`. The same images
//! give the same bytes: blobs in order of their names, owner 0:0, time 0, and manifests made anew.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;

use oci::manifest::{IMAGE_NAME, REF_NAME};
use oci::{Descriptor, Digest, Image, Index, Manifest, Reference, media_type};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::error::Context;
use crate::layer::{self, LayerRecord};
use crate::load::chunks;
use crate::state::{Lease, State};
use crate::{Error, Result, Store};
use tarball::TarWriter;

/// Mode of blobs and of the layout's mark, as Docker writes them.
pub(crate) const BLOB_MODE: u32 = 0o444;
/// Mode of the documents.
pub(crate) const DOCUMENT_MODE: u32 = 0o644;
/// The mark of an image layout.
pub(crate) const MARK: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// What becomes of one image.
struct Saved {
    image: Arc<Image>,
    names: Vec<Reference>,
    /// Key and record of each layer, lowest first.
    layers: Vec<(String, Arc<LayerRecord>)>,
}

/// What a blob's bytes come from.
enum Blob {
    Bytes(Vec<u8>),
    Layer(String, Arc<LayerRecord>),
}

/// One image of `manifest.json`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

impl Store {
    /// Writes the images of these names or ids as an archive in `docker save`'s layout. A repository without a
    /// tag means all its tags; an id means the image without names.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`] before anything is written; a failure of `output`; [`Error::Damaged`] when a layer
    /// is not what it was.
    pub fn save(&self, names: &[String], output: &mut (dyn Write + Send)) -> Result<()> {
        let inner = self.inner();
        let mut lease = Lease::new(inner);
        let mut state = inner.lock();
        let images = select(&state, names)?;
        for (key, _) in images.iter().flat_map(|image| &image.layers) {
            lease.take(&mut state, key);
        }
        drop(state);
        self.write_archive(&images, output)
    }

    fn write_archive(&self, images: &[Saved], output: &mut (dyn Write + Send)) -> Result<()> {
        let mut blobs: BTreeMap<String, Blob> = BTreeMap::new();
        let mut index = Vec::new();
        let mut items = Vec::new();
        for saved in images {
            let manifest = encode(&manifest(saved))?;
            let digest = Digest::sha256(&manifest);
            let descriptor =
                Descriptor::new(media_type::DOCKER_MANIFEST, digest.clone(), manifest.len() as u64);
            index.extend(named(&descriptor, &saved.names));
            items.push(item(saved));
            blobs.insert(digest.hex().into(), Blob::Bytes(manifest));
            blobs.insert(saved.image.id().hex().into(), Blob::Bytes(saved.image.raw().to_vec()));
            for (key, record) in &saved.layers {
                blobs.insert(record.diff_id.hex().into(), Blob::Layer(key.clone(), record.clone()));
            }
        }
        let mut tar = TarWriter::new(output);
        let write = "write the archive";
        tar.directory("blobs/").context(write)?;
        tar.directory("blobs/sha256/").context(write)?;
        for (hex, blob) in &blobs {
            self.write_blob(&mut tar, &format!("blobs/sha256/{hex}"), blob)?;
        }
        let index = Index {
            schema_version: 2,
            media_type: Some(media_type::OCI_INDEX.into()),
            manifests: index,
            annotations: BTreeMap::new(),
        };
        tar.file("index.json", DOCUMENT_MODE, &encode(&index)?).context(write)?;
        tar.file("manifest.json", DOCUMENT_MODE, &encode(&items)?).context(write)?;
        tar.file("oci-layout", BLOB_MODE, MARK).context(write)?;
        tar.finish().context(write).map(drop)
    }

    fn write_blob(
        &self,
        tar: &mut TarWriter<&mut (dyn Write + Send)>,
        name: &str,
        blob: &Blob,
    ) -> Result<()> {
        match blob {
            Blob::Bytes(bytes) => tar.file(name, BLOB_MODE, bytes).context("write the archive"),
            Blob::Layer(key, record) => {
                tar.begin_file(name, BLOB_MODE, record.tar_size).context("write the archive")?;
                self.write_layer(tar, key, record)?;
                tar.end_file(record.tar_size).context("write the archive")
            }
        }
    }

    /// One thread puts the tar together, this one hashes and writes it.
    fn write_layer(
        &self,
        tar: &mut TarWriter<&mut (dyn Write + Send)>,
        key: &str,
        record: &LayerRecord,
    ) -> Result<()> {
        let dir = self.inner().layout.layer(key);
        let damaged = || Error::Damaged(format!("layer {} is not what it was", record.diff_id));
        std::thread::scope(|scope| {
            let (writer, mut reader) = chunks();
            let sender = scope.spawn(move || layer::assemble(&dir, writer));
            let (mut sum, mut left) = (Sha256::new(), record.tar_size);
            let sent = loop {
                match io::BufRead::fill_buf(&mut reader) {
                    Ok([]) => break Ok(()),
                    Ok(bytes) if bytes.len() as u64 > left => break Err(damaged()),
                    Ok(bytes) => {
                        sum.update(bytes);
                        let count = bytes.len();
                        if let Err(error) = tar.content(bytes) {
                            break Err(Error::io("write the archive", error));
                        }
                        left -= count as u64;
                        io::BufRead::consume(&mut reader, count);
                    }
                    // The sender tells why.
                    Err(_) => break Ok(()),
                }
            };
            drop(reader);
            let assembled = sender.join().unwrap_or_else(|_panic| Err(damaged()));
            sent?;
            assembled?;
            let actual = Digest::from_sha256(sum.finalize().into());
            if left == 0 && actual == record.diff_id { Ok(()) } else { Err(damaged()) }
        })
    }
}

fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| Error::Document(error.to_string()))
}

/// The images meant, each once, with the names that were asked for.
fn select(state: &State, names: &[String]) -> Result<Vec<Saved>> {
    let mut images: Vec<Saved> = Vec::new();
    for name in names {
        for (id, reference) in crate::image::select(state, name)? {
            let at = match images.iter().position(|saved| *saved.image.id() == id) {
                Some(at) => at,
                None => {
                    images.push(saved(state, &id)?);
                    images.len() - 1
                }
            };
            images[at].names.extend(reference);
        }
    }
    for image in &mut images {
        image.names.sort();
        image.names.dedup();
    }
    Ok(images)
}

fn saved(state: &State, id: &Digest) -> Result<Saved> {
    let entry = state.images.get(id).ok_or_else(|| Error::NoSuchImage(id.to_string()))?;
    let keys = state.chain_of(&entry.image).unwrap_or_default();
    let layers = keys.iter().map(|key| {
        let layer = state.layers.get(key).ok_or_else(|| Error::Damaged(format!("layer {key} is missing")))?;
        Ok((key.clone(), layer.record.clone()))
    });
    Ok(Saved { image: entry.image.clone(), names: Vec::new(), layers: layers.collect::<Result<_>>()? })
}

fn manifest(saved: &Saved) -> Manifest {
    let image = &saved.image;
    let layer = |record: &LayerRecord| {
        Descriptor::new(media_type::DOCKER_LAYER, record.diff_id.clone(), record.tar_size)
    };
    Manifest {
        schema_version: 2,
        media_type: Some(media_type::DOCKER_MANIFEST.into()),
        config: Descriptor::new(media_type::DOCKER_CONFIG, image.id().clone(), image.raw().len() as u64),
        layers: saved.layers.iter().map(|(_, record)| layer(record)).collect(),
        annotations: BTreeMap::new(),
    }
}

/// One descriptor a name; a single one when there is none.
fn named(descriptor: &Descriptor, names: &[Reference]) -> Vec<Descriptor> {
    if names.is_empty() {
        return vec![descriptor.clone()];
    }
    let with_name = |name: &Reference| {
        let mut descriptor = descriptor.clone();
        descriptor.annotations.insert(IMAGE_NAME.into(), name.to_string());
        let tag = name.tag().map_or_else(|| name.to_string(), str::to_owned);
        descriptor.annotations.insert(REF_NAME.into(), tag);
        descriptor
    };
    names.iter().map(with_name).collect()
}

fn item(saved: &Saved) -> Item {
    let blob = |digest: &Digest| format!("blobs/sha256/{}", digest.hex());
    let tags: Vec<String> =
        saved.names.iter().filter(|n| n.tag().is_some()).map(Reference::familiar).collect();
    Item {
        config: blob(saved.image.id()),
        repo_tags: Some(tags).filter(|tags| !tags.is_empty()),
        layers: saved.layers.iter().map(|(_, record)| blob(&record.diff_id)).collect(),
    }
}
