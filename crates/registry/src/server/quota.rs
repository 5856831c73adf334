//! Quotas: how many bytes the manifests of some repositories may refer to.
//!
//! Counted anew at each push, so that deletions, other instances and `kill -9` need no bookkeeping. What a manifest refers to
//! never changes and is remembered.

use std::collections::HashMap;
use std::sync::Arc;

use oci::Digest;
use tokio::sync::{Mutex, MutexGuard};

use super::Registry;
use super::auth::glob;
use super::config::Quota;
use super::error::{Code, Error, Result};
use super::name::Name;
use super::repository::document::Document;
use super::storage::{Key, Prefix, digest_of, name_of};

/// Names that are looked at at once.
const PAGE: usize = 1000;

/// Manifests that are remembered; then they are read anew.
const REMEMBERED: usize = 50_000;

/// What a manifest refers to, with sizes: blobs, and itself.
type Parts = Arc<[(Digest, u64)]>;

/// What is known of manifests.
#[derive(Debug, Default)]
pub(crate) struct Quotas(Mutex<HashMap<Digest, Parts>>);

impl Quotas {
    /// A manifest may be put. Until the answer is dropped no other one is put that is counted, too.
    ///
    /// # Errors
    /// `DENIED`, when there would be too much.
    pub(crate) async fn allow(
        &self,
        registry: &Registry,
        name: &Name,
        digest: &Digest,
        size: u64,
        document: &Document,
    ) -> Result<Option<MutexGuard<'_, HashMap<Digest, Parts>>>> {
        let quotas = &registry.config.quotas;
        if !quotas.iter().any(|quota| fits(quota, name)) {
            return Ok(None);
        }
        let mut known = self.0.lock().await;
        for quota in quotas.iter().filter(|quota| fits(quota, name)) {
            let mut all = used(registry, quota, &mut known).await?;
            let before: u64 = all.values().fold(0, |sum, size| sum.saturating_add(*size));
            all.extend(parts(digest, size, document).iter().cloned());
            let after: u64 = all.values().fold(0, |sum, size| sum.saturating_add(*size));
            // what adds nothing is no reason, though a quota may have been lowered
            if after > quota.bytes.0 && after > before {
                return Err(denied(quota, before, after - before));
            }
        }
        Ok(Some(known))
    }
}

fn fits(quota: &Quota, name: &Name) -> bool {
    quota.repositories.iter().any(|pattern| glob::fits(pattern, name.as_str()))
}

fn denied(quota: &Quota, used: u64, more: u64) -> Error {
    let (limit, names) = (quota.bytes.0, quota.repositories.join(", "));
    Error::new(
        Code::Denied,
        format!(
            "the quota for {names} is exceeded: {used} of {limit} bytes are used and this needs {more} more; delete manifests that are not needed"
        ),
    )
    .detail(serde_json::json!({ "quota": limit, "used": used, "needed": more }))
}

fn parts(digest: &Digest, size: u64, document: &Document) -> Parts {
    let blobs = document.blobs.iter().map(|blob| (blob.digest.clone(), blob.size));
    blobs.chain([(digest.clone(), size)]).collect()
}

/// What the manifests of all repositories of a quota refer to.
async fn used(
    registry: &Registry,
    quota: &Quota,
    known: &mut HashMap<Digest, Parts>,
) -> Result<HashMap<Digest, u64>> {
    let (mut all, mut after) = (HashMap::new(), None::<String>);
    loop {
        let page = registry.storage.list(&Prefix::repositories(), after.as_deref(), PAGE).await?;
        for name in page.iter().filter_map(|entry| name_of(&entry.name)).filter(|name| fits(quota, name)) {
            repository(registry, &name, known, &mut all).await?;
        }
        match page.last() {
            Some(last) if page.len() == PAGE => after = Some(last.name.clone()),
            _ => return Ok(all),
        }
    }
}

async fn repository(
    registry: &Registry,
    name: &Name,
    known: &mut HashMap<Digest, Parts>,
    all: &mut HashMap<Digest, u64>,
) -> Result<()> {
    let mut after = None::<String>;
    loop {
        let page = registry.storage.list(&Prefix::manifests(name), after.as_deref(), PAGE).await?;
        for digest in page.iter().filter_map(|entry| digest_of(&entry.name)) {
            if !known.contains_key(&digest) {
                let Some(found) = read(registry, &digest).await? else { continue };
                if known.len() >= REMEMBERED {
                    known.clear();
                }
                known.insert(digest.clone(), found);
            }
            if let Some(parts) = known.get(&digest) {
                all.extend(parts.iter().cloned());
            }
        }
        match page.last() {
            Some(last) if page.len() == PAGE => after = Some(last.name.clone()),
            _ => return Ok(()),
        }
    }
}

/// What a manifest refers to. One that is damaged or was deleted meanwhile counts nothing.
async fn read(registry: &Registry, digest: &Digest) -> Result<Option<Parts>> {
    let bytes = registry.storage.get(&Key::blob(digest), oci::manifest::MAX_DOCUMENT).await?;
    Ok(bytes.and_then(|bytes| {
        let document = Document::parse(None, &bytes).ok()?;
        Some(parts(digest, bytes.len() as u64, &document))
    }))
}
