//! `index.json` of an OCI layout: manifests, or further indexes, with names as annotations.

use std::collections::BTreeMap;

use oci::manifest::{IMAGE_NAME, REF_NAME, REFERENCE_TYPE};
use oci::{Descriptor, Document, Index, Manifest, Platform, Reference, media_type};

use super::archive::{Contents, blob_name};
use super::wanted::Wanted;
use crate::{Error, Result};

/// Indexes within indexes.
const MAX_DEPTH: usize = 8;

pub(super) fn images(contents: &Contents, index: &[u8]) -> Result<Vec<Wanted>> {
    let Document::Index(index) = parse(index, "index.json")? else {
        return Err(Error::Archive("index.json is not an index".into()));
    };
    let mut wanted: Vec<Wanted> = Vec::new();
    for descriptor in index.manifests.iter().filter(|d| is_image(d)) {
        let (manifest, mut names) = resolve(contents, descriptor, MAX_DEPTH)?;
        names.extend(name(&descriptor.annotations)?);
        let image = image(contents, &manifest, names)?;
        // The same image under several names is several descriptors.
        match wanted.iter_mut().find(|other| other.image.id() == image.image.id()) {
            Some(other) => other.names.extend(image.names),
            None => wanted.push(image),
        }
    }
    for image in &mut wanted {
        image.names.sort();
        image.names.dedup();
    }
    Ok(wanted)
}

fn parse(bytes: &[u8], what: &str) -> Result<Document> {
    Document::parse(bytes).map_err(|error| Error::Archive(format!("{what}: {error}")))
}

/// Not a statement about another manifest (provenance and such).
fn is_image(descriptor: &Descriptor) -> bool {
    let unknown = |platform: &Platform| platform.os == "unknown" && platform.architecture == "unknown";
    !descriptor.annotations.contains_key(REFERENCE_TYPE) && !descriptor.platform.as_ref().is_some_and(unknown)
}

/// The manifest that a descriptor leads to, for this host where there is a choice.
fn resolve(contents: &Contents, descriptor: &Descriptor, depth: usize) -> Result<(Manifest, Vec<Reference>)> {
    if depth == 0 {
        return Err(Error::Limit { what: "depth of nested indexes".into(), limit: MAX_DEPTH as u64 });
    }
    let bytes = contents.blob(&descriptor.digest).ok_or_else(|| missing(descriptor))?;
    check_size(descriptor, bytes)?;
    let document = parse(bytes, descriptor.digest.as_str())?;
    let type_name = descriptor.media_type.as_str();
    match document {
        Document::Manifest(manifest) if type_name.is_empty() || media_type::is_manifest(type_name) => {
            Ok((manifest, Vec::new()))
        }
        Document::Index(index) if type_name.is_empty() || media_type::is_index(type_name) => {
            let chosen = choose(contents, &index).ok_or_else(|| {
                Error::Archive(format!("{}: no image for {}", descriptor.digest, Platform::host()))
            })?;
            let (manifest, mut names) = resolve(contents, chosen, depth - 1)?;
            names.extend(name(&chosen.annotations)?);
            Ok((manifest, names))
        }
        _ => Err(Error::Archive(format!("{} is not of media type {type_name:?}", descriptor.digest))),
    }
}

/// For this host's platform; else the only one that the archive really holds.
fn choose<'a>(contents: &Contents, index: &'a Index) -> Option<&'a Descriptor> {
    let host = Platform::host();
    let present = |d: &&Descriptor| is_image(d) && contents.blob(&d.digest).is_some();
    let fits = |d: &&Descriptor| d.platform.as_ref().is_some_and(|platform| platform.matches(&host));
    let mut all = index.manifests.iter().filter(present);
    if let Some(found) = index.manifests.iter().filter(present).find(fits) {
        return Some(found);
    }
    let only = all.next()?;
    all.next().is_none().then_some(only)
}

fn image(contents: &Contents, manifest: &Manifest, names: Vec<Reference>) -> Result<Wanted> {
    let config = contents.blob(&manifest.config.digest).ok_or_else(|| missing(&manifest.config))?;
    check_size(&manifest.config, config)?;
    Wanted::new(config, names, manifest.layers.iter().map(|layer| blob_name(&layer.digest)).collect())
}

fn missing(descriptor: &Descriptor) -> Error {
    Error::Archive(format!("blob {} is missing", descriptor.digest))
}

fn check_size(descriptor: &Descriptor, bytes: &[u8]) -> Result<()> {
    if descriptor.size == bytes.len() as u64 {
        return Ok(());
    }
    let (digest, expected, found) = (&descriptor.digest, descriptor.size, bytes.len());
    Err(Error::Archive(format!("blob {digest}: expected {expected} bytes, got {found}")))
}

/// The name in a descriptor's annotations. A lone tag names no image.
fn name(annotations: &BTreeMap<String, String>) -> Result<Option<Reference>> {
    let whole = |text: &&String| text.contains(['/', ':']);
    let text = annotations.get(IMAGE_NAME).or_else(|| annotations.get(REF_NAME).filter(whole));
    let parse = |text: &String| {
        Reference::parse(text)
            .map(Reference::with_default_tag)
            .map_err(|error| Error::Archive(format!("name {text:?} in index.json: {error}")))
    };
    text.map(parse).transpose()
}
