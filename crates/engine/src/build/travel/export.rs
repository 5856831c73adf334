//! A build's results on their way out.

use std::collections::BTreeMap;
use std::sync::Arc;

use ::build::cache::exchange::{CONFIG_TYPE, Outgoing};
use ::build::solve::{Solved, Solver};
use ::build::{Error, Result};
use oci::manifest::MAX_LAYERS;
use oci::{Descriptor, Digest, Index, Manifest, Reference, media_type};
use store::{LayerBlob, PushPlan};
use tokio::task::JoinSet;

use super::super::worker::because;
use super::{CacheExport, CacheTarget};
use crate::engine::Inner;
use crate::image::Blobs;
use crate::registry::Credentials;

/// The results of a build that go along with `results`, the layers of what it gives out.
fn gather(solver: &Solver, solved: &Solved, results: &[Vec<Digest>], max: bool) -> Outgoing {
    let mut out = Outgoing::default();
    for key in &solved.keys {
        if let Some(record) = solver.index().get(key) {
            out.add(key.hex(), &record, &|layers| {
                max || results.iter().any(|result| result.starts_with(layers))
            });
        }
    }
    out
}

/// What an image carries of the cache: BuildKit's field of its configuration.
///
/// # Errors
/// It can't be encoded.
pub(in crate::build) fn inline(solver: &Solver, solved: &Solved, result: &[Digest]) -> Result<String> {
    use base64::Engine as _;
    let entries = gather(solver, solved, &[result.to_vec()], false).inline(result);
    let bytes = serde_json::to_vec(&entries).map_err(|error| Error::because("encode the cache", error))?;
    Ok(base64::engine::general_purpose::STANDARD.encode(bytes))
}

/// Sends a cache to a registry; gives the manifest that it has there.
///
/// # Errors
/// A layer is gone; the registry's refusal.
pub(in crate::build) fn send(
    engine: &Arc<Inner>,
    runtime: &tokio::runtime::Handle,
    export: &CacheExport,
    credentials: &dyn Fn(&Reference) -> Result<Credentials>,
    (solved, results): (&Solved, &[Vec<Digest>]),
) -> Result<Option<Descriptor>> {
    let CacheTarget::Registry { reference, image_manifest, oci_types } = &export.to else { return Ok(None) };
    let out = gather(&engine.builder.solver, solved, results, export.max);
    let plans = plans(engine, &out)?;
    let to = Blobs::new(engine, reference, credentials(reference)?);
    let what = format!("export the cache to {}", reference.familiar());
    let failed = || because(&what);
    let sent = runtime.block_on(layers(&to, plans, out.stacks().len())).map_err(failed())?;
    let blobs: Vec<Descriptor> = sent.iter().map(|blob| descriptor(blob, *oci_types)).collect();
    let (config, layers) = out.config(&blobs)?;
    let encode = |error| Error::because("encode the cache", error);
    let bytes = serde_json::to_vec(&config).map_err(encode)?;
    let config = runtime.block_on(to.document(CONFIG_TYPE, bytes)).map_err(failed())?;
    let as_manifest = image_manifest.unwrap_or(layers.len() <= MAX_LAYERS);
    let (kind, bytes) = if as_manifest {
        if layers.len() > MAX_LAYERS {
            return Err(Error::Invalid(format!(
                "{what}: a manifest has {MAX_LAYERS} layers at most, not {}: use image-manifest=false",
                layers.len()
            )));
        }
        let kind = media_type::OCI_MANIFEST;
        let annotations = BTreeMap::new();
        let manifest =
            Manifest { schema_version: 2, media_type: Some(kind.into()), config, layers, annotations };
        (kind, serde_json::to_vec(&manifest).map_err(encode)?)
    } else {
        let kind = media_type::OCI_INDEX;
        let manifests = layers.into_iter().chain([config]).collect();
        let index = Index {
            schema_version: 2,
            media_type: Some(kind.into()),
            manifests,
            annotations: BTreeMap::new(),
        };
        (kind, serde_json::to_vec(&index).map_err(encode)?)
    };
    runtime.block_on(to.manifest(kind, bytes)).map(Some).map_err(failed())
}

/// For the uppermost layer of each stack, where its bytes are: a plan of it or of one above, and the place there.
type Places = Vec<(usize, Arc<PushPlan>, usize)>;

fn plans(engine: &Inner, out: &Outgoing) -> Result<Places> {
    let mut found: BTreeMap<usize, (Arc<PushPlan>, usize)> = BTreeMap::new();
    // the highest first: a prefix need not be held by itself
    for (place, stack) in out.stacks().iter().enumerate().rev() {
        if found.contains_key(&place) {
            continue;
        }
        let plan = engine.store.stack_plan(stack);
        let plan = Arc::new(plan.map_err(|error| Error::because("export the cache", error))?);
        for (below, other) in out.stacks().iter().enumerate().filter(|(_, other)| stack.starts_with(other)) {
            found.entry(below).or_insert_with(|| (Arc::clone(&plan), other.len() - 1));
        }
    }
    Ok(found.into_iter().map(|(place, (plan, position))| (place, plan, position)).collect())
}

/// Several at a time; in the stacks' order.
async fn layers(to: &Blobs, places: Places, count: usize) -> crate::Result<Vec<LayerBlob>> {
    let mut tasks = JoinSet::new();
    // the same layer in several stacks goes once
    let mut same: BTreeMap<Digest, Vec<usize>> = BTreeMap::new();
    for (place, plan, position) in places {
        let Some(layer) = plan.layers.get(position) else { continue };
        let all = same.entry(layer.diff_id.clone()).or_default();
        all.push(place);
        if all.len() == 1 {
            let (to, id) = (to.clone(), layer.diff_id.clone());
            tasks.spawn(async move { to.layer(plan, position).await.map(|blob| (id, blob)) });
        }
    }
    let mut sent: Vec<Option<LayerBlob>> = vec![None; count];
    while let Some(done) = tasks.join_next().await {
        let (id, blob) = done.map_err(|error| crate::Error::because("internal task", error))??;
        for place in same.get(&id).into_iter().flatten() {
            sent[*place] = Some(blob.clone());
        }
    }
    let lost = || crate::Error::system("a layer of the cache was not pushed");
    sent.into_iter().map(|one| one.ok_or_else(lost)).collect()
}

fn descriptor(blob: &LayerBlob, oci_types: bool) -> Descriptor {
    let kind = match blob.media_type.as_str() {
        media_type::DOCKER_LAYER_GZIP if oci_types => media_type::OCI_LAYER_GZIP,
        media_type::DOCKER_LAYER if oci_types => media_type::OCI_LAYER,
        media_type::DOCKER_LAYER_ZSTD if oci_types => media_type::OCI_LAYER_ZSTD,
        media_type::OCI_LAYER_GZIP if !oci_types => media_type::DOCKER_LAYER_GZIP,
        media_type::OCI_LAYER if !oci_types => media_type::DOCKER_LAYER,
        other => other,
    };
    Descriptor::new(kind, blob.digest.clone(), blob.size)
}
