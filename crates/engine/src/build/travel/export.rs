//! A build's results on their way out.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use ::build::cache::exchange::{CONFIG_TYPE, Outgoing};
use ::build::solve::{Solved, Solver};
use ::build::{Error, Result};
use oci::manifest::MAX_LAYERS;
use oci::{Descriptor, Digest, Index, Manifest, media_type};
use store::{LayerBlob, PushPlan};
use tokio::task::JoinSet;

use super::super::lent::Lent;
use super::super::worker::because;
use super::{CacheExport, CacheForm, CacheTarget, STORE};
use crate::engine::Inner;
use crate::image::Blobs;

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

/// Sends a cache; gives the manifest that it has there.
///
/// # Errors
/// A layer is gone; the registry's or the client's refusal.
pub(in crate::build) fn send(
    engine: &Arc<Inner>,
    runtime: &tokio::runtime::Handle,
    export: &CacheExport,
    lent: &dyn Lent,
    (solved, results): (&Solved, &[Vec<Digest>]),
) -> Result<Option<Descriptor>> {
    let gathered = || {
        let out = gather(&engine.builder.solver, solved, results, export.max);
        plans(engine, &out).map(|plans| (out, plans))
    };
    match &export.to {
        CacheTarget::Inline => Ok(None),
        CacheTarget::Registry { reference, form } => {
            let (out, plans) = gathered()?;
            let credentials = lent.credentials(reference.domain()).map_err(Error::Invalid)?;
            let to = Blobs::new(engine, reference, credentials);
            let what = format!("export the cache to {}", reference.familiar());
            let failed = || because(&what);
            let sent = runtime.block_on(layers(&to, plans, out.stacks().len())).map_err(failed())?;
            let documents = Documents::new(&out, &sent, *form, &what)?;
            runtime.block_on(to.document(CONFIG_TYPE, documents.config)).map_err(failed())?;
            runtime.block_on(to.manifest(documents.kind, documents.top)).map(Some).map_err(failed())
        }
        CacheTarget::Client { dest, form, compression } => {
            let (out, plans) = gathered()?;
            let what = format!("export the cache to {dest}");
            let failed = |error| Error::because(&what, error);
            // a blob's digest must be known before the client takes it
            let mut layout = engine.store.oci_layout().map_err(failed)?;
            let mut blobs: BTreeMap<Digest, LayerBlob> = BTreeMap::new();
            let mut sent: Vec<Option<LayerBlob>> = vec![None; out.stacks().len()];
            for (place, plan, position) in plans {
                let Some(layer) = plan.layers.get(position) else { continue };
                let blob = match blobs.get(&layer.diff_id) {
                    Some(blob) => blob.clone(),
                    None => layout.layer(&plan, position, *compression).map_err(failed)?,
                };
                blobs.insert(layer.diff_id.clone(), blob.clone());
                sent[place] = Some(blob);
            }
            let lost = || Error::Invalid(format!("{what}: a layer is gone"));
            let sent: Vec<LayerBlob> =
                sent.into_iter().map(|one| one.ok_or_else(lost)).collect::<Result<_>>()?;
            let documents = Documents::new(&out, &sent, *form, &what)?;
            let store = format!("{STORE}{dest}");
            let give = |digest: &Digest, size: u64, source: &mut (dyn Read + Send)| {
                lent.put_content(&store, digest, size, source)
                    .map_err(|error| Error::Invalid(format!("{what}: {error}")))
            };
            for blob in blobs.values() {
                let mut file = layout.open(&blob.digest).map_err(failed)?;
                give(&blob.digest, blob.size, &mut file)?;
            }
            let document = |bytes: &[u8]| {
                let digest = Digest::sha256(bytes);
                give(&digest, bytes.len() as u64, &mut &*bytes).map(|()| digest)
            };
            document(&documents.config)?;
            let digest = document(&documents.top)?;
            Ok(Some(Descriptor::new(documents.kind, digest, documents.top.len() as u64)))
        }
    }
}

/// What is sent beside layers.
struct Documents {
    config: Vec<u8>,
    /// The manifest or index over all, and its media type.
    top: Vec<u8>,
    kind: &'static str,
}

impl Documents {
    fn new(out: &Outgoing, sent: &[LayerBlob], form: CacheForm, what: &str) -> Result<Self> {
        let encode = |error| Error::because("encode the cache", error);
        let blobs: Vec<Descriptor> = sent.iter().map(|blob| descriptor(blob, form.oci_types)).collect();
        let (config, layers) = out.config(&blobs)?;
        let bytes = serde_json::to_vec(&config).map_err(encode)?;
        let config = Descriptor::new(CONFIG_TYPE, Digest::sha256(&bytes), bytes.len() as u64);
        let as_manifest = form.image_manifest.unwrap_or(layers.len() <= MAX_LAYERS);
        let annotations = BTreeMap::new();
        if !as_manifest {
            let kind = media_type::OCI_INDEX;
            let manifests = layers.into_iter().chain([config]).collect();
            let index = Index { schema_version: 2, media_type: Some(kind.into()), manifests, annotations };
            return Ok(Self { config: bytes, top: serde_json::to_vec(&index).map_err(encode)?, kind });
        }
        if layers.len() > MAX_LAYERS {
            return Err(Error::Invalid(format!(
                "{what}: a manifest has {MAX_LAYERS} layers at most, not {}: use image-manifest=false",
                layers.len()
            )));
        }
        let kind = media_type::OCI_MANIFEST;
        let manifest =
            Manifest { schema_version: 2, media_type: Some(kind.into()), config, layers, annotations };
        Ok(Self { config: bytes, top: serde_json::to_vec(&manifest).map_err(encode)?, kind })
    }
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
