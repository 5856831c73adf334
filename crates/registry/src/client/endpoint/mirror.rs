//! `--registry-mirror`.

use crate::client::error::{Error, Result};
use crate::client::url::{Url, UrlError};

/// A registry that has Docker Hub's content, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror(pub(super) Url);

impl Mirror {
    /// Reads the option's value: a URL with nothing behind the host.
    ///
    /// # Errors
    /// In Docker's words.
    pub fn parse(text: &str) -> Result<Self> {
        let bad = |reason: String| Error::config("invalid mirror", reason);
        let url = Url::parse(text).map_err(|error| match error {
            UrlError::UserInfo => bad("username/password not allowed in URI".into()),
            UrlError::Scheme => bad(format!("unsupported scheme in {text:?}: use http:// or https://")),
            other => bad(format!("{text:?} {other}")),
        })?;
        if url.path() != "/" || url.query().is_some() || text.contains('#') {
            return Err(bad(format!("path, query, or fragment at end of the URI {text:?}")));
        }
        Ok(Self(url))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_host_behind_a_scheme() {
        assert_eq!(Mirror::parse("https://m.example:5000/").unwrap().0.full(), "https://m.example:5000/");
        for bad in
            ["m.example", "ftp://m", "https://u:secret@m", "https://m/path", "https://m/?q", "https://m/#f"]
        {
            let text = Mirror::parse(bad).unwrap_err().to_string();
            assert!(text.starts_with("invalid mirror: ") && !text.contains("secret"), "{text}");
        }
    }
}
