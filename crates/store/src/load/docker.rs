//! `manifest.json`, which both layouts of `docker save` have.

use oci::Reference;
use serde::Deserialize;

use super::archive::Contents;
use super::wanted::Wanted;
use crate::{Error, Result};
use tarball::clean;

/// One image of `manifest.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Option<Vec<String>>,
}

pub(super) fn images(contents: &Contents, manifest: &[u8]) -> Result<Vec<Wanted>> {
    let items: Vec<Item> = serde_json::from_slice(manifest)
        .map_err(|error| Error::Archive(format!("manifest.json: {error}")))?;
    items.into_iter().map(|item| image(contents, item)).collect()
}

fn image(contents: &Contents, item: Item) -> Result<Wanted> {
    let config_name = cleaned(&item.config)?;
    let config = contents
        .document(&config_name)
        .ok_or_else(|| Error::Archive(format!("file {} is missing", item.config)))?;
    let names = item.repo_tags.unwrap_or_default().iter().map(|name| tagged(name)).collect::<Result<_>>()?;
    let layers = item.layers.unwrap_or_default().into_iter().map(|name| {
        let name = cleaned(&name)?;
        Ok(contents.real_name(&name).to_owned())
    });
    Wanted::new(config, names, layers.collect::<Result<_>>()?)
}

fn cleaned(name: &str) -> Result<String> {
    Ok(String::from_utf8_lossy(&clean(name.as_bytes())?).into_owned())
}

fn tagged(name: &str) -> Result<Reference> {
    let reference = Reference::parse(name)
        .map_err(|error| Error::Archive(format!("name {name:?} in manifest.json: {error}")))?;
    if reference.tag().is_none() {
        return Err(Error::Archive(format!("invalid tag {name:?} in manifest.json")));
    }
    Ok(reference)
}
