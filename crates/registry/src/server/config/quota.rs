//! `[[quotas]]`: how much there may be.

use serde::Deserialize;

use super::Bytes;

/// `[[quotas]]`. All that fit a repository hold.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// Repositories, as in `[[rights]]`: what they have together counts.
    pub repositories: Vec<String>,
    /// The most bytes that their manifests may refer to; what several refer to counts once.
    pub bytes: Bytes,
}

impl Quota {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.repositories.is_empty() || self.repositories.iter().any(String::is_empty) {
            return Err("[[quotas]]: repositories names nothing".into());
        }
        Ok(())
    }
}
