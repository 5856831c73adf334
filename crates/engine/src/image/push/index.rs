//! The index that an image came with: with all that it lists, where that is here or in the repository already.

use std::sync::Arc;

use bytes::Bytes;
use oci::manifest::REFERENCE_TYPE;
use oci::{Descriptor, Digest, Document, Index};
use registry::client::{BlobSource, Target};
use store::KeptManifest;

use super::{Chosen, Pusher, source};
use crate::container::task::blocking;
use crate::error::{Error, Result};
use crate::image::manifests::REFERENCE_DIGEST;

/// What of an index is here, beside the image itself.
struct Others {
    /// Images for other platforms: their ids, and the manifests that they have in the index.
    images: Vec<(Digest, KeptManifest)>,
    /// Attestations: their manifests and the parts of them.
    companions: Vec<(Descriptor, Vec<Descriptor>)>,
}

impl Pusher {
    /// Puts the index that the manifest came with: in the repository that it came from, where its other manifests are,
    /// and elsewhere if all of them are here and go along. Says whether it was put.
    pub(super) async fn index(
        &self,
        chosen: &Chosen,
        target: &(dyn Fn(&Digest) -> Target + Sync),
    ) -> Result<bool> {
        let kept = &chosen.kept;
        let Some(top) = kept.indexes.first() else { return Ok(false) };
        if self.platform.is_some() {
            return Ok(false);
        }
        if !kept.repositories.contains(&self.name.name()) {
            let Some(others) = self.others(kept).await? else { return Ok(false) };
            let own = Target::Digest(kept.manifest.digest.clone());
            self.put(&own, &kept.manifest.media_type, chosen.bytes.clone()).await?;
            if !self.send(others).await? {
                return Ok(false);
            }
        }
        let bytes = self.document(&top.digest).await?;
        match self.repository.put_manifest(&target(&top.digest), &top.media_type, bytes.into()).await {
            Ok(_) => Ok(true),
            // Some of it is gone there by now: the image alone goes.
            Err(error) if matches!(error.status(), Some(400 | 404)) => Ok(false),
            Err(error) => Err(self.failed(error)),
        }
    }

    async fn document(&self, digest: &Digest) -> Result<Vec<u8>> {
        let (store, digest) = (self.engine.0.store.clone(), digest.clone());
        blocking(move || Ok(store.document(&digest)?)).await
    }

    /// All that the index lists beside this image, if it is all here.
    async fn others(&self, kept: &KeptManifest) -> Result<Option<Others>> {
        let [top] = kept.indexes.as_slice() else { return Ok(None) };
        let index: Index = match Document::parse(&self.document(&top.digest).await?) {
            Ok(Document::Index(index)) => index,
            _ => return Err(Error::system(format!("{} is no index any more", top.digest))),
        };
        let (engine, own) = (Arc::clone(&self.engine.0), kept.clone());
        blocking(move || {
            let mut all = vec![(None, own)];
            for image in engine.store.images() {
                // one that goes meanwhile has none
                let manifests = engine.store.manifests(&image.id).unwrap_or_default();
                let listed = |kept: &KeptManifest| {
                    index.manifests.iter().any(|entry| entry.digest == kept.manifest.digest)
                };
                all.extend(manifests.into_iter().filter(listed).map(|kept| (Some(image.id.clone()), kept)));
            }
            let mut others = Others { images: Vec::new(), companions: Vec::new() };
            for entry in &index.manifests {
                if !entry.annotations.contains_key(REFERENCE_TYPE) {
                    let Some((id, kept)) = all.iter().find(|(_, kept)| kept.manifest.digest == entry.digest)
                    else {
                        return Ok(None);
                    };
                    others.images.extend(id.clone().map(|id| (id, kept.clone())));
                    continue;
                }
                let about = entry.annotations.get(REFERENCE_DIGEST);
                let mut owners =
                    all.iter().filter(|(_, kept)| Some(&kept.manifest.digest.to_string()) == about);
                let parts = owners.find_map(|(_, kept)| parts(&engine.store, kept, entry).transpose());
                match parts.transpose()? {
                    Some(parts) => others.companions.push((entry.clone(), parts)),
                    None => return Ok(None),
                }
            }
            Ok(Some(others))
        })
        .await
    }

    /// Sends what the index lists. Says whether everything is there under the digests that the index names.
    async fn send(&self, others: Others) -> Result<bool> {
        for (entry, parts) in others.companions {
            for part in parts {
                self.blob(&part).await?;
            }
            let bytes = self.document(&entry.digest).await?;
            self.put(&Target::Digest(entry.digest.clone()), &entry.media_type, bytes).await?;
        }
        for (id, kept) in others.images {
            let store = self.engine.0.store.clone();
            let plan = Arc::new(blocking(move || Ok(store.push_plan(&id)?)).await?);
            let Some(chosen) = self.read(&plan, kept).await? else { return Ok(false) };
            let sent = self.layers(&plan, Some(&chosen)).await?;
            let mut pairs = chosen.manifest.layers.iter().zip(&sent);
            if !pairs.all(|(layer, sent)| layer.digest == sent.blob.digest) {
                return Ok(false);
            }
            self.config(&plan, Some(&chosen)).await?;
            let manifest = &chosen.kept.manifest;
            self.put(&Target::Digest(manifest.digest.clone()), &manifest.media_type, chosen.bytes).await?;
        }
        Ok(true)
    }

    /// A small blob that is kept here.
    async fn blob(&self, part: &Descriptor) -> Result<()> {
        if self.repository.exists(&part.digest).await.map_err(|error| self.failed(error))?.is_some() {
            return Ok(());
        }
        let bytes = Bytes::from(self.document(&part.digest).await?);
        let size = bytes.len() as u64;
        let source: Arc<dyn BlobSource> = Arc::new(source::Whole(bytes));
        let upload = self.repository.upload(&part.digest, size, &source, None);
        upload.await.map_err(|error| self.failed(error))
    }
}

/// What an attestation is made of, if it is here whole.
fn parts(store: &store::Store, kept: &KeptManifest, entry: &Descriptor) -> Result<Option<Vec<Descriptor>>> {
    if !kept.companions.iter().any(|companion| companion.digest == entry.digest) {
        return Ok(None);
    }
    let Ok(Document::Manifest(manifest)) = Document::parse(&store.document(&entry.digest)?) else {
        return Ok(None);
    };
    let parts: Vec<Descriptor> = [manifest.config].into_iter().chain(manifest.layers).collect();
    let here = |part: &Descriptor| kept.attachments.iter().any(|attachment| attachment.digest == part.digest);
    Ok(parts.iter().all(here).then_some(parts))
}
