//! `[storage.s3]`: a bucket of an S3-compatible object store.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Bytes, Seconds};

/// The least bytes of a part of a multipart upload that is not the last (S3's own limit).
pub const LEAST_PART: u64 = 5 << 20;

/// The most bytes of a part here: it is held in memory.
const MOST_PART: u64 = 1 << 30;

/// How long a signed URL may be good for (S3's own limit): seven days.
const MOST_EXPIRE: Seconds = Seconds::hours(7 * 24);

/// A text that no message shows.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The text.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// `[storage.s3]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S3 {
    /// The bucket; it must be there.
    pub bucket: String,
    /// What all keys begin with, without slashes at its ends; nothing when empty.
    #[serde(default)]
    pub prefix: String,
    /// `https://s3.example.org:9000`; AWS's endpoint of the region when left out.
    pub endpoint: Option<String>,
    /// The region that requests are signed for.
    #[serde(default = "region")]
    pub region: String,
    /// The bucket stands in the path and not in the host's name.
    #[serde(default)]
    pub path_style: bool,
    /// A file with authorities that are trusted beside the machine's.
    pub ca: Option<PathBuf>,
    /// Who asks, given here: the key's name …
    pub access_key_id: Option<String>,
    /// … the key …
    pub secret_access_key: Option<Secret>,
    /// … and the token of temporary ones.
    pub session_token: Option<Secret>,
    /// Who asks, given in a file of AWS's form. Neither here nor there: the environment says.
    pub credentials: Option<PathBuf>,
    /// The section of that file.
    #[serde(default = "profile")]
    pub profile: String,
    /// Pulls of blobs are sent to the store itself, by signed URLs.
    #[serde(default)]
    pub redirect: bool,
    /// How long such a URL is good for.
    #[serde(default = "redirect_expire")]
    pub redirect_expire: Seconds,
    /// Bytes that are gathered before they are sent.
    #[serde(default = "part_size")]
    pub part_size: Bytes,
    /// The most bytes that all uploads together gather in memory.
    #[serde(default = "buffers")]
    pub buffers: Bytes,
}

fn region() -> String {
    "us-east-1".into()
}

fn profile() -> String {
    "default".into()
}

fn redirect_expire() -> Seconds {
    Seconds::minutes(15)
}

fn part_size() -> Bytes {
    Bytes(8 << 20)
}

fn buffers() -> Bytes {
    Bytes(256 << 20)
}

impl S3 {
    /// Where requests go.
    #[must_use]
    pub fn endpoint(&self) -> String {
        let trimmed = |text: &String| text.trim_end_matches('/').to_owned();
        self.endpoint.as_ref().map_or_else(|| format!("https://s3.{}.amazonaws.com", self.region), trimmed)
    }

    pub(super) fn anchor(&mut self, base: &Path) {
        for path in self.ca.iter_mut().chain(&mut self.credentials) {
            *path = base.join(&path);
        }
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let plain =
            |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        if self.bucket.is_empty() || self.bucket.len() > 255 || !plain(&self.bucket) {
            return Err("storage.s3.bucket is no name of a bucket".into());
        }
        let is_part = |part: &str| !part.is_empty() && part != "." && part != ".." && plain(part);
        if !self.prefix.is_empty() && (self.prefix.len() > 256 || !self.prefix.split('/').all(is_part)) {
            return Err(
                "storage.s3.prefix is made of letters, digits, '.', '_', '-', and slashes between".into()
            );
        }
        if self.region.is_empty() || !plain(&self.region) {
            return Err("storage.s3.region is no name of a region".into());
        }
        let endpoint = crate::client::url::Url::parse(&self.endpoint())
            .map_err(|error| format!("storage.s3.endpoint {error}"))?;
        if endpoint.path() != "/" || endpoint.query().is_some() {
            return Err("storage.s3.endpoint is scheme, host and port: 'https://s3.example.org:9000'".into());
        }
        if self.access_key_id.is_some() != self.secret_access_key.is_some() {
            return Err("storage.s3.access_key_id and storage.s3.secret_access_key need each other".into());
        }
        if self.session_token.is_some() && self.access_key_id.is_none() {
            return Err("storage.s3.session_token needs storage.s3.access_key_id".into());
        }
        if self.credentials.is_some() && self.access_key_id.is_some() {
            return Err("storage.s3.credentials and storage.s3.access_key_id exclude each other".into());
        }
        if !(LEAST_PART..=MOST_PART).contains(&self.part_size.0) {
            return Err("storage.s3.part_size must be between 5MiB and 1GiB".into());
        }
        if self.buffers.0 < self.part_size.0 {
            return Err("storage.s3.buffers must be at least storage.s3.part_size".into());
        }
        if self.redirect_expire > MOST_EXPIRE {
            return Err("storage.s3.redirect_expire must be at most '7d'".into());
        }
        Ok(())
    }
}
