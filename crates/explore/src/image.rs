//! Which image of an archive, and its layers stacked.

use oci::{Descriptor, Document, Image as Config, Platform, manifest};
use serde::Deserialize;

use crate::archive::Archive;
use crate::limits::{MAX_MANIFESTS, MAX_NESTING};
use crate::tree::{Change, NodeId, Stack, Tree};
use crate::{Error, Limits, Result};

/// Which image is wanted, when an archive holds several.
#[derive(Clone, Debug, Default)]
pub struct Choice<'a> {
    /// One of its names.
    pub name: Option<&'a str>,
    /// Its platform.
    pub platform: Option<Platform>,
}

/// An image whose layers are stacked.
#[derive(Debug)]
pub struct Image {
    /// Digest of its configuration.
    pub id: String,
    /// Its names in the archive.
    pub names: Vec<String>,
    /// What it runs on.
    pub platform: Platform,
    /// Lowest first.
    pub layers: Vec<Layer>,
    /// All places of all layers.
    pub tree: Tree,
    /// What is wasted, most first.
    pub wasted: Vec<Wasted>,
}

/// One layer.
#[derive(Debug, Default)]
pub struct Layer {
    /// Digest of its tar, not compressed.
    pub digest: String,
    /// What made it.
    pub command: String,
    /// When, in RFC 3339.
    pub created: String,
    /// Bytes of its files.
    pub size: u64,
    /// Bytes of these that the whole image does not show.
    pub wasted: u64,
    /// Places that it adds.
    pub added: u64,
    /// Places that it changes.
    pub modified: u64,
    /// Places that it removes.
    pub removed: u64,
}

/// Bytes that layers store for a place and that the whole image does not show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wasted {
    /// The place.
    pub id: NodeId,
    /// How many layers have it.
    pub count: u32,
    /// The bytes.
    pub bytes: u64,
}

/// An image as an archive names it.
#[derive(Clone, Debug, Default)]
struct Candidate {
    names: Vec<String>,
    config: String,
    layers: Vec<String>,
}

/// Digits of an id that tell it from a name's first letters.
const SHORTEST_ID: usize = 4;

/// One element of Docker's `manifest.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerManifest {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

impl Image {
    /// Finds the image that is wanted and stacks its layers.
    ///
    /// # Errors
    /// There is none, or several; something that it needs is missing or not sound; a limit.
    pub fn choose(archive: &Archive, choice: &Choice<'_>, limits: &Limits) -> Result<Self> {
        let candidate = choose(archive, choice)?;
        let config = config(archive, &candidate.config)?;
        let diff_ids = config.diff_ids();
        if diff_ids.len() != candidate.layers.len() {
            return Err(Error::Archive(format!(
                "the image has {} layers, its configuration speaks of {}",
                candidate.layers.len(),
                diff_ids.len()
            )));
        }
        let mut stack = Stack::new(limits);
        for name in &candidate.layers {
            stack.push(archive.layer(name)?)?;
        }
        let (tree, sums) = stack.finish();
        let steps: Vec<_> = config.config().history.iter().filter(|step| !step.empty_layer).collect();
        let steps = if steps.len() == diff_ids.len() { steps } else { Vec::new() };
        let mut layers: Vec<Layer> = diff_ids
            .iter()
            .enumerate()
            .map(|(index, digest)| {
                let step = steps.get(index);
                let text = |field: Option<&String>| field.cloned().unwrap_or_default();
                Layer {
                    digest: digest.to_string(),
                    command: command(&text(step.and_then(|step| step.created_by.as_ref()))),
                    created: text(step.and_then(|step| step.created.as_ref())),
                    size: sums.stored[index],
                    wasted: sums.wasted[index],
                    ..Layer::default()
                }
            })
            .collect();
        count(&tree, &mut layers);
        let mut wasted: Vec<Wasted> = sums
            .lost
            .iter()
            .map(|(id, lost)| Wasted { id: *id, count: stored(&tree, *id, lost.times), bytes: lost.bytes })
            .collect();
        wasted.sort_by_key(|wasted| std::cmp::Reverse(wasted.bytes));
        let platform = config.platform();
        Ok(Self { id: config.id().to_string(), names: candidate.names, platform, layers, tree, wasted })
    }

    /// Bytes of the files of all layers.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.layers.iter().map(|layer| layer.size).sum()
    }

    /// Bytes that layers store and the whole image does not show.
    #[must_use]
    pub fn wasted_bytes(&self) -> u64 {
        self.layers.iter().map(|layer| layer.wasted).sum()
    }

    /// What is shown of what is stored, from 0 to 1.
    #[must_use]
    pub fn efficiency(&self) -> f64 {
        let size = self.size();
        if size == 0 { 1.0 } else { ratio(size - self.wasted_bytes(), size) }
    }

    /// What is wasted in relation to all layers but the lowest, from 0 up.
    #[must_use]
    pub fn user_wasted(&self) -> f64 {
        let own: u64 = self.layers.iter().skip(1).map(|layer| layer.size).sum();
        match (self.wasted_bytes(), own) {
            (0, _) => 0.0,
            (_, 0) => 1.0,
            (wasted, own) => ratio(wasted, own),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a ratio of sizes for people")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

/// How many layers store something there; at least what was lost.
fn stored(tree: &Tree, id: NodeId, lost: u32) -> u32 {
    let layers = tree.events(id).iter().filter(|event| event.meta.is_some()).count();
    lost.max(u32::try_from(layers).unwrap_or(u32::MAX))
}

fn count(tree: &Tree, layers: &mut [Layer]) {
    // the root is nobody's
    for id in 1..tree.len() as NodeId {
        for event in tree.events(id) {
            let layer = &mut layers[usize::from(event.layer)];
            match tree.change(id, event.layer) {
                Some(Change::Added) => layer.added += 1,
                Some(Change::Modified) => layer.modified += 1,
                Some(Change::Removed) => layer.removed += 1,
                Some(Change::Unchanged) | None => {}
            }
        }
    }
}

/// The instruction without the shell's words around it.
fn command(created_by: &str) -> String {
    let text = created_by.trim();
    let text = text.strip_prefix("/bin/sh -c #(nop)").unwrap_or(text);
    let text = text.strip_suffix("# buildkit").unwrap_or(text);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn config(archive: &Archive, name: &str) -> Result<Config> {
    let bytes = archive
        .document(name)
        .ok_or_else(|| Error::Archive(format!("the configuration {name} is missing")))?;
    Config::parse(bytes.to_vec()).map_err(|error| Error::Archive(format!("{name}: {error}")))
}

fn choose(archive: &Archive, choice: &Choice<'_>) -> Result<Candidate> {
    let mut found = docker(archive)?;
    if found.is_empty() || choice.platform.is_some() {
        let more = layout(archive)?;
        found = if more.is_empty() { found } else { more };
    }
    if found.is_empty() {
        return Err(Error::Archive("neither manifest.json nor index.json names an image".into()));
    }
    if let (Some(name), true) = (choice.name, found.len() > 1) {
        found = named(found, name)?;
    }
    let runs = |candidate: &Candidate, wanted: &Platform| {
        config(archive, &candidate.config).is_ok_and(|config| config.platform().matches(wanted))
    };
    if let Some(wanted) = &choice.platform {
        found.retain(|candidate| runs(candidate, wanted));
        if found.is_empty() {
            return Err(Error::Choice(format!("the archive holds no image for the platform {wanted}")));
        }
    } else if found.len() > 1 {
        let host = Platform::host();
        if found.iter().any(|candidate| runs(candidate, &host)) {
            found.retain(|candidate| runs(candidate, &host));
        }
    }
    let names: Vec<&str> = found.iter().flat_map(|candidate| &candidate.names).map(String::as_str).collect();
    if found.len() > 1 && choice.name.is_none() {
        return Err(Error::Choice(format!(
            "the archive holds several images, name one: {}",
            names.join(", ")
        )));
    }
    Ok(found.swap_remove(0))
}

fn named(found: Vec<Candidate>, name: &str) -> Result<Vec<Candidate>> {
    let whole = |text: &str| {
        oci::Reference::parse(text)
            .map_or_else(|_error| text.to_owned(), |reference| reference.with_default_tag().to_string())
    };
    let wanted = whole(name);
    let id = name.strip_prefix("sha256:").unwrap_or(name).as_bytes();
    let all: Vec<String> = found.iter().flat_map(|candidate| candidate.names.clone()).collect();
    let mut found = found;
    found.retain(|candidate| {
        let is_id = id.len() >= SHORTEST_ID && tarball::split(candidate.config.as_bytes()).1.starts_with(id);
        is_id || candidate.names.iter().any(|own| whole(own) == wanted)
    });
    if found.is_empty() {
        return Err(Error::Choice(format!("the archive holds no image {name}, but: {}", all.join(", "))));
    }
    Ok(found)
}

/// What Docker's `manifest.json` lists.
fn docker(archive: &Archive) -> Result<Vec<Candidate>> {
    let Some(bytes) = archive.document("manifest.json") else { return Ok(Vec::new()) };
    let listed: Vec<DockerManifest> =
        serde_json::from_slice(bytes).map_err(|error| Error::Archive(format!("manifest.json: {error}")))?;
    let clean = |name: &str| -> Result<String> {
        Ok(String::from_utf8_lossy(&tarball::clean(name.as_bytes())?).into_owned())
    };
    let candidate = |listed: DockerManifest| {
        let layers = listed.layers.unwrap_or_default();
        if layers.len() > manifest::MAX_LAYERS {
            return Err(Error::Limit { what: "number of layers", limit: manifest::MAX_LAYERS as u64 });
        }
        Ok(Candidate {
            names: listed.repo_tags.unwrap_or_default(),
            config: clean(&listed.config)?,
            layers: layers.iter().map(|layer| clean(layer)).collect::<Result<_>>()?,
        })
    };
    listed.into_iter().map(candidate).collect()
}

/// What an OCI layout's `index.json` lists, down to the manifests whose configuration is there.
fn layout(archive: &Archive) -> Result<Vec<Candidate>> {
    let Some(bytes) = archive.document("index.json") else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    let mut open = vec![(bytes, Vec::new(), "index.json".to_owned(), 0)];
    let mut visits = 0;
    while let Some((bytes, names, what, depth)) = open.pop() {
        visits += 1;
        if visits > MAX_MANIFESTS {
            return Err(Error::Limit { what: "number of manifests", limit: MAX_MANIFESTS });
        }
        let document = Document::parse(bytes).map_err(|error| Error::Archive(format!("{what}: {error}")))?;
        match document {
            Document::Manifest(manifest) => {
                let config = blob(&manifest.config);
                let layers = manifest.layers.iter().map(blob).collect();
                if archive.document(&config).is_some() {
                    found.push(Candidate { names, config, layers });
                }
            }
            Document::Index(index) if depth < MAX_NESTING => {
                let images =
                    |listed: &&Descriptor| !listed.annotations.contains_key(manifest::REFERENCE_TYPE);
                for listed in index.manifests.iter().filter(images).rev() {
                    let own = [manifest::IMAGE_NAME, manifest::REF_NAME]
                        .iter()
                        .find_map(|key| listed.annotations.get(*key))
                        .map_or_else(|| names.clone(), |name| vec![name.clone()]);
                    // what is for another platform may be left out
                    if let Some(bytes) = archive.document(&blob(listed)) {
                        open.push((bytes, own, listed.digest.to_string(), depth + 1));
                    }
                }
            }
            Document::Index(_) => {
                return Err(Error::Limit { what: "nesting of indexes", limit: MAX_NESTING as u64 });
            }
        }
    }
    Ok(found)
}

fn blob(descriptor: &Descriptor) -> String {
    format!("blobs/{}/{}", descriptor.digest.algorithm().as_str(), descriptor.digest.hex())
}
