//! What a build gives out: images that stay here or go into an image layout, with what is said of them.

mod assemble;
mod files;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use oci::manifest::{IMAGE_NAME, REF_NAME};
use oci::{Descriptor, Digest, Image, ImageConfig, Index, Platform, Reference, media_type};
use serde_json::json;
use store::{Form, Hold, Known, OciLayout, PushPlan, Store};

use super::remote::{Built, RemoteBuilt};
use crate::Engine;
use crate::container::task::blocking;
use crate::error::{Error, Result};
use assemble::{Assembled, Part, assemble};
pub use files::Files;

/// When an image was made, as an annotation.
const CREATED: &str = "org.opencontainers.image.created";

/// How images are given out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImageExport {
    /// Names, with tags.
    pub names: Vec<Reference>,
    /// How layers are compressed; `None` for gzip.
    pub form: Option<Form>,
    /// OCI's media types, or Docker's; `None` for the exporter's own.
    pub oci: Option<bool>,
    /// What is written into manifests and indexes.
    pub annotations: Annotations,
    /// Nothing is newer than this, in seconds since 1970 (`SOURCE_DATE_EPOCH`).
    pub epoch: Option<i64>,
    /// Files neither, but those of base images.
    pub rewrite_timestamp: bool,
}

/// Annotations of an export.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Annotations {
    /// Of manifests; with a platform, of that one's alone.
    pub manifest: Vec<(Option<Platform>, String, String)>,
    /// Of manifests' descriptors in the index.
    pub manifest_descriptor: Vec<(Option<Platform>, String, String)>,
    /// Of the index.
    pub index: BTreeMap<String, String>,
    /// Of its descriptor.
    pub index_descriptor: BTreeMap<String, String>,
}

impl Annotations {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn of(all: &[(Option<Platform>, String, String)], platform: &Platform) -> BTreeMap<String, String> {
        let fits = |wanted: &Option<Platform>| {
            wanted.as_ref().is_none_or(|wanted| wanted.normalized() == platform.normalized())
        };
        all.iter()
            .filter(|(wanted, ..)| fits(wanted))
            .map(|(_, key, value)| (key.clone(), value.clone()))
            .collect()
    }
}

/// What was given out.
#[derive(Clone, Debug, PartialEq)]
pub struct Exported {
    /// The image's id; of several, the first one's.
    pub image: Digest,
    /// The topmost document, `None` for an image that no registry has a name for yet.
    pub top: Option<Descriptor>,
}

/// One platform's image, on its way out.
struct Prepared<'a> {
    built: &'a Built,
    plan: PushPlan,
    _hold: Option<Hold>,
}

impl Engine {
    /// Keeps the images here, and gives them their names: of several the one that runs here best.
    ///
    /// # Errors
    /// [`ImageExport`]'s wishes contradict each other; the disk is full. Nothing stays behind.
    pub async fn export_here(&self, built: Arc<RemoteBuilt>, export: ImageExport) -> Result<Exported> {
        let engine = self.clone();
        blocking(move || {
            let (exported, names) = store(&engine.0.store, &built, &export)?;
            for name in names {
                engine.image_event("tag", exported.image.as_str(), &name.familiar());
            }
            Ok(exported)
        })
        .await
    }

    /// Makes an OCI image layout of the images; for Docker with its list of images, too.
    ///
    /// # Errors
    /// As [`Self::export_here`].
    pub async fn export_layout(
        &self,
        built: Arc<RemoteBuilt>,
        export: ImageExport,
        docker: bool,
    ) -> Result<(Exported, OciLayout)> {
        let engine = self.clone();
        blocking(move || layout(&engine.0.store, &built, &export, docker)).await
    }

    /// The files of a result, see [`RemoteBuilt::files`].
    ///
    /// # Errors
    /// The kernel's refusal; the disk is full.
    pub async fn export_files(&self, built: Arc<RemoteBuilt>, split: Option<bool>) -> Result<Files> {
        let engine = self.clone();
        blocking(move || built.files(&engine.0.store, split)).await
    }

    /// A layout as an archive.
    pub fn archive(&self, layout: OciLayout) -> crate::Reader {
        crate::image::written::written(move |output| {
            layout.write(output).map_err(|error| Error::from(error).to_string())
        })
    }
}

/// The images as they are to be, with layers that are here.
fn prepare<'a>(store: &Store, built: &'a RemoteBuilt, export: &ImageExport) -> Result<Vec<Prepared<'a>>> {
    let several = built.results.len() > 1 || built.results.iter().any(|one| !one.predicates.is_empty());
    let annotations = &export.annotations;
    let of_index = !annotations.index.is_empty() || !annotations.index_descriptor.is_empty();
    if of_index && !several {
        return Err(Error::bad_parameter("index annotations not supported for single platform export"));
    }
    if export.rewrite_timestamp && export.epoch.is_none() {
        return Err(Error::bad_parameter("rewrite-timestamp needs SOURCE_DATE_EPOCH"));
    }
    let one = |one: &'a Built| -> Result<Prepared<'a>> {
        let mut config = one.config.clone().ok_or_else(|| Error::system("no image was made"))?;
        let mut hold = None;
        if let Some(epoch) = export.epoch {
            clamp(&mut config, epoch)?;
            if export.rewrite_timestamp {
                let held = store.clamp_times(&config.rootfs.diff_ids, one.base_layers, epoch)?;
                config.rootfs.diff_ids = held.layers().to_vec();
                hold = Some(held);
            }
        }
        let image = Image::encode(&config).map_err(|error| Error::because("encode the image", error))?;
        Ok(Prepared { built: one, plan: store.export_plan(image)?, _hold: hold })
    };
    built.results.iter().map(one).collect()
}

/// As BuildKit does it: the image is of that time, and no step is of a later one.
fn clamp(config: &mut ImageConfig, epoch: i64) -> Result<()> {
    let wrong = |error| Error::bad_parameter(format!("invalid SOURCE_DATE_EPOCH: {epoch}: {error}"));
    let latest = Timestamp::from_second(epoch).map_err(wrong)?;
    config.created = Some(latest.to_string());
    for entry in &mut config.history {
        let created: Option<Timestamp> = entry.created.as_deref().and_then(|text| text.parse().ok());
        if created.is_none_or(|created| created > latest) {
            entry.created = Some(latest.to_string());
        }
    }
    Ok(())
}

fn assembled(
    prepared: &[Prepared<'_>],
    export: &ImageExport,
    oci: bool,
    mut encode: impl FnMut(&PushPlan, usize, Form) -> Result<store::LayerBlob>,
) -> Result<Assembled> {
    let form = export.form.unwrap_or(Form::Gzip(None));
    let mut parts = Vec::with_capacity(prepared.len());
    for one in prepared {
        let blobs = (0..one.plan.layers.len()).map(|position| encode(&one.plan, position, form));
        parts.push(Part {
            plan: &one.plan,
            blobs: blobs.collect::<Result<_>>()?,
            platform: one.built.platform.clone(),
            predicates: &one.built.predicates,
        });
    }
    assemble(&parts, export, oci || matches!(form, Form::Zstd(_)))
}

/// Says the names that were given, too.
fn store(store: &Store, built: &RemoteBuilt, export: &ImageExport) -> Result<(Exported, Vec<Reference>)> {
    let prepared = prepare(store, built, export)?;
    let host = Platform::host();
    let best = prepared
        .iter()
        .enumerate()
        .min_by_key(|(_, one)| host.rank(&one.built.platform).unwrap_or(usize::MAX))
        .map_or(0, |(place, _)| place);
    let plain = prepared.len() == 1
        && prepared.iter().all(|one| one.built.predicates.is_empty())
        && export.form.is_none()
        && !export.oci.unwrap_or(false)
        && export.annotations.is_empty();
    // a manifest is made only where it says what a push would not
    let assembled = match plain {
        true => None,
        false => Some(assembled(&prepared, export, export.oci.unwrap_or(false), |plan, position, form| {
            let mut encoding = plan.encode(position, form)?;
            while encoding.next_chunk()?.is_some() {}
            Ok(encoding.finish()?)
        })?),
    };
    let mut ids = Vec::with_capacity(prepared.len());
    // the one that has the names comes last: the others are there then
    let order = (0..prepared.len()).filter(|place| *place != best).chain([best]);
    for place in order {
        let image = Image::parse(prepared[place].plan.image().raw().to_vec());
        let image = image.map_err(|error| Error::because("encode the image", error))?;
        let names = if place == best { export.names.clone() } else { Vec::new() };
        let known: Option<Known> = assembled.as_ref().map(|assembled| assembled.known(place));
        ids.push(store.create_image(image, names, known, &|_| ())?);
    }
    let image = ids.pop().ok_or_else(|| Error::system("no image was made"))?;
    let top = assembled.map(|assembled| assembled.top);
    Ok((Exported { image, top }, export.names.clone()))
}

fn layout(
    store: &Store,
    built: &RemoteBuilt,
    export: &ImageExport,
    docker: bool,
) -> Result<(Exported, OciLayout)> {
    let prepared = prepare(store, built, export)?;
    if docker && (prepared.len() > 1 || prepared.iter().any(|one| !one.built.predicates.is_empty())) {
        return Err(Error::bad_parameter(
            "docker exporter does not currently support exporting manifest lists (several platforms, attestations): \
             use type=oci",
        ));
    }
    let mut layout = store.oci_layout()?;
    let oci = export.oci.unwrap_or(!docker);
    let assembled =
        assembled(&prepared, export, oci, |plan, position, form| Ok(layout.layer(plan, position, form)?))?;
    for one in &prepared {
        layout.blob(one.plan.image().raw())?;
    }
    for document in assembled.all() {
        layout.blob(document)?;
    }
    let first = prepared.first().ok_or_else(|| Error::system("no image was made"))?;
    let image = first.plan.image().id().clone();
    let created = first.plan.image().config().created.clone().unwrap_or_default();
    let index = Index {
        schema_version: 2,
        media_type: Some(media_type::OCI_INDEX.into()),
        manifests: entries(&assembled.top, &export.names, &created, &export.annotations.index_descriptor),
        annotations: BTreeMap::new(),
    };
    let encoded = serde_json::to_vec(&index).map_err(|error| Error::because("encode the index", error))?;
    let list = docker.then(|| list(&first.plan, &assembled, &export.names));
    layout.finish(encoded, list)?;
    Ok((Exported { image, top: Some(assembled.top) }, layout))
}

/// One entry a name; a single one when there is none.
fn entries(
    top: &Descriptor,
    names: &[Reference],
    created: &str,
    more: &BTreeMap<String, String>,
) -> Vec<Descriptor> {
    let mut bare = top.clone();
    bare.platform = None;
    bare.annotations.extend(more.clone());
    bare.annotations.insert(CREATED.to_owned(), created.to_owned());
    if names.is_empty() {
        return vec![bare];
    }
    let named = |name: &Reference| {
        let mut entry = bare.clone();
        entry.annotations.insert(IMAGE_NAME.to_owned(), name.to_string());
        let tag = name.tag().map_or_else(|| name.to_string(), str::to_owned);
        entry.annotations.insert(REF_NAME.to_owned(), tag);
        entry
    };
    names.iter().map(named).collect()
}

/// `manifest.json`, by which Docker loads.
fn list(plan: &PushPlan, assembled: &Assembled, names: &[Reference]) -> Vec<u8> {
    let path = |digest: &Digest| format!("blobs/sha256/{}", digest.hex());
    let tags: Vec<String> = names.iter().map(Reference::familiar).collect();
    let blobs = assembled.blobs(0);
    let list = json!([{
        "Config": path(plan.image().id()),
        "RepoTags": Some(tags).filter(|tags| !tags.is_empty()),
        "Layers": blobs.iter().map(|blob| path(&blob.digest)).collect::<Vec<_>>(),
    }]);
    list.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_time_is_after_the_epoch() {
        let entry = |created: Option<&str>| oci::History {
            created: created.map(str::to_owned),
            ..oci::History::default()
        };
        let mut config = ImageConfig {
            created: Some("2026-01-01T00:00:00Z".into()),
            history: vec![
                entry(Some("2000-01-01T00:00:00Z")),
                entry(Some("2026-01-01T00:00:00.5Z")),
                entry(None),
            ],
            ..ImageConfig::default()
        };
        clamp(&mut config, 1_700_000_000).unwrap();
        let epoch = "2023-11-14T22:13:20Z";
        let times: Vec<_> = config.history.iter().map(|entry| entry.created.as_deref().unwrap()).collect();
        assert_eq!(times, ["2000-01-01T00:00:00Z", epoch, epoch]);
        assert_eq!(config.created.as_deref(), Some(epoch));
        assert!(clamp(&mut config, i64::MAX).is_err());
    }

    #[test]
    fn annotations_for_one_platform() {
        let arm = Platform::parse("linux/arm64/v8").unwrap();
        let all =
            [(None, "a".to_owned(), "1".to_owned()), (Some(arm.clone()), "b".to_owned(), "2".to_owned())];
        let arm = Platform { variant: None, ..arm };
        assert_eq!(Annotations::of(&all, &arm).len(), 2);
        assert_eq!(Annotations::of(&all, &Platform::parse("linux/amd64").unwrap()).len(), 1);
    }
}
