//! What refers to a manifest: signatures, attestations, and whatever else names it as its subject.

use oci::Digest;

use super::Repository;
use super::document::Referrer;
use crate::server::error::Result;
use crate::server::limits;
use crate::server::storage::{Key, Prefix, digest_of};

/// A page of a list of referrers.
pub(crate) struct Page {
    pub(crate) manifests: Vec<Referrer>,
    /// Where the next page begins.
    pub(crate) next: Option<String>,
}

impl Repository<'_> {
    /// What refers to `subject`, from `after` on, of a type if one is given.
    pub(crate) async fn referrers(
        &self,
        subject: &Digest,
        after: Option<&str>,
        artifact_type: Option<&str>,
    ) -> Result<Page> {
        let mut after = after.map(str::to_owned);
        let (mut manifests, mut length) = (Vec::new(), 0);
        loop {
            let entries = self
                .storage()
                .list(&Prefix::referrers(self.name, subject), after.as_deref(), limits::PAGE)
                .await?;
            let is_last = entries.len() < limits::PAGE;
            for entry in entries {
                let Some(manifest) = digest_of(&entry.name) else { continue };
                let record: Option<Referrer> =
                    self.record(&Key::referrer(self.name, subject, &manifest)).await?;
                // deleted since it was listed
                let Some(referrer) = record else { continue };
                if artifact_type.is_some_and(|wanted| referrer.artifact_type.as_deref() != Some(wanted)) {
                    after = Some(entry.name);
                    continue;
                }
                length += serde_json::to_string(&referrer).map_or(0, |text| text.len());
                if manifests.len() == limits::PAGE || (length > limits::REFERRERS && !manifests.is_empty()) {
                    return Ok(Page { manifests, next: after });
                }
                manifests.push(referrer);
                after = Some(entry.name);
            }
            if is_last {
                return Ok(Page { manifests, next: None });
            }
        }
    }
}
