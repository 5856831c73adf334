//! `[[retention]]`: which tags and manifests are kept.

use serde::Deserialize;

use super::Seconds;

/// `[[retention]]`. Of several rules that fit a tag, the first decides.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// Repositories, as in `[[rights]]`.
    pub repositories: Vec<String>,
    /// Tags: `*` stands for anything.
    #[serde(default = "all")]
    pub tags: Vec<String>,
    /// So many of these tags of a repository are kept, the newest.
    pub keep_last: Option<usize>,
    /// Those that were set within this time are kept.
    pub keep_newer: Option<Seconds>,
    /// Manifests that no tag leads to are deleted when they are as old as this.
    pub untagged: Option<Seconds>,
    /// Only say in the log what would be deleted.
    #[serde(default)]
    pub dry_run: bool,
}

fn all() -> Vec<String> {
    vec!["*".into()]
}

impl Retention {
    pub(super) fn check(&self) -> Result<(), String> {
        for (list, what) in [(&self.repositories, "repositories"), (&self.tags, "tags")] {
            if list.is_empty() || list.iter().any(String::is_empty) {
                return Err(format!("[[retention]]: {what} names nothing"));
            }
        }
        Ok(())
    }
}
