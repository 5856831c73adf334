//! `[gc]`: when garbage is collected.

use serde::Deserialize;

use super::Seconds;

/// `[gc]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Gc {
    /// From time to time by itself. At SIGUSR1 in any case.
    pub enabled: bool,
    /// How long from the end of one collection to the next.
    pub interval: Seconds,
    /// How long something must have been of use to nobody. A push has half of it from being told of a blob, or uploading
    /// it, to putting the manifest.
    pub grace: Seconds,
}

impl Default for Gc {
    fn default() -> Self {
        Self { enabled: true, interval: Seconds::hours(24), grace: Seconds::hours(24) }
    }
}
