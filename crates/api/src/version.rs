//! API versions: what is served, and how a request's version is judged.

use std::fmt;

/// A version `1.minor` of the Engine API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    minor: u16,
}

/// The oldest version served.
pub const MIN: Version = Version::minor(24);
/// The newest version served, and the one that an unversioned path means.
pub const MAX: Version = Version::minor(55);

/// Why a request's version is not served. The texts are Docker's: clients look for them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// Older than [`MIN`].
    #[error(
        "client version {0} is too old. Minimum supported API version is {MIN}, \
         please upgrade your client to a newer version"
    )]
    TooOld(String),
    /// Newer than [`MAX`].
    #[error("client version {0} is too new. Maximum supported API version is {MAX}")]
    TooNew(String),
}

impl Version {
    /// Version `1.minor`.
    #[must_use]
    pub const fn minor(minor: u16) -> Self {
        Self { minor }
    }

    /// Judges a version as written in a path, without the `v`.
    ///
    /// # Errors
    /// When it lies outside of [`MIN`]..=[`MAX`].
    pub fn negotiate(text: &str) -> Result<Self, VersionError> {
        let mut parts = text.split('.').map(|part| part.parse::<u64>().unwrap_or(0));
        let (major, minor) = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
        match (major, u16::try_from(minor)) {
            (1, Ok(minor)) if minor < MIN.minor => Err(VersionError::TooOld(text.to_owned())),
            (1, Ok(minor)) if minor <= MAX.minor => Ok(Self { minor }),
            (0, _) => Err(VersionError::TooOld(text.to_owned())),
            _ => Err(VersionError::TooNew(text.to_owned())),
        }
    }

    /// Splits `/v1.41/info` into `1.41` and `/info`; a path without a version is returned whole.
    #[must_use]
    pub fn split(path: &str) -> (Option<&str>, &str) {
        let Some(rest) = path.strip_prefix("/v") else { return (None, path) };
        let end = rest.find('/').unwrap_or(rest.len());
        let (version, tail) = rest.split_at(end);
        if tail.is_empty() || version.is_empty() || !version.bytes().all(|b| b.is_ascii_digit() || b == b'.')
        {
            return (None, path);
        }
        (Some(version), tail)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}", self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negotiation() {
        assert_eq!(Version::negotiate("1.24"), Ok(MIN));
        assert_eq!(Version::negotiate("1.55"), Ok(MAX));
        assert_eq!(
            Version::negotiate("1.23").unwrap_err().to_string(),
            "client version 1.23 is too old. Minimum supported API version is 1.24, please upgrade your client \
             to a newer version"
        );
        assert_eq!(
            Version::negotiate("1.56").unwrap_err().to_string(),
            "client version 1.56 is too new. Maximum supported API version is 1.55"
        );
        assert!(matches!(Version::negotiate("2.0"), Err(VersionError::TooNew(_))));
        assert!(matches!(Version::negotiate("1.99999999"), Err(VersionError::TooNew(_))));
        assert!(matches!(Version::negotiate("..."), Err(VersionError::TooOld(_))));
    }

    #[test]
    fn splitting() {
        assert_eq!(Version::split("/v1.41/info"), (Some("1.41"), "/info"));
        assert_eq!(Version::split("/volumes"), (None, "/volumes"));
        assert_eq!(Version::split("/v1.41"), (None, "/v1.41"));
        assert_eq!(Version::split("/info"), (None, "/info"));
    }
}
