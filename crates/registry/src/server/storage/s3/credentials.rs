//! Who asks: given in the configuration, in a file of AWS's form, or in the environment.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusty_s3::Credentials;

use super::super::{Result, StorageError};
use crate::server::config;

/// The most bytes of a file with credentials.
const MOST: usize = 64 << 10;

/// How long what the file said is believed: whoever changes temporary credentials writes it anew in time.
const FRESH: Duration = Duration::from_secs(60);

/// Where they come from.
pub(super) enum Source {
    /// They stay as they are.
    Fixed(Credentials),
    /// They are read anew.
    File { path: PathBuf, profile: String, last: Mutex<(Instant, Credentials)> },
}

impl Source {
    /// As the configuration says.
    pub(super) fn new(config: &config::S3) -> Result<Self> {
        if let (Some(key), Some(secret)) = (&config.access_key_id, &config.secret_access_key) {
            let token = config.session_token.as_ref().map(config::Secret::reveal);
            return Ok(Self::Fixed(credentials(key, secret.reveal(), token)));
        }
        if let Some(path) = &config.credentials {
            let last = Mutex::new((Instant::now(), file(path, &config.profile)?));
            return Ok(Self::File { path: path.clone(), profile: config.profile.clone(), last });
        }
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        match (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY")) {
            (Some(key), Some(secret)) => {
                let token = variable("AWS_SESSION_TOKEN");
                Ok(Self::Fixed(credentials(&key, &secret, token.as_deref())))
            }
            _ => Err(StorageError::Format(
                "no credentials for [storage.s3]: set access_key_id and secret_access_key, or credentials, or \
                 AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment"
                    .into(),
            )),
        }
    }

    /// What holds now. A file that can't be read any more holds as it was.
    pub(super) fn now(&self) -> Credentials {
        match self {
            Self::Fixed(fixed) => fixed.clone(),
            Self::File { path, profile, last } => {
                let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
                if last.0.elapsed() >= FRESH {
                    last.0 = Instant::now();
                    match file(path, profile) {
                        Ok(found) => last.1 = found,
                        Err(error) => tracing::error!("credentials stay as they were: {error}"),
                    }
                }
                last.1.clone()
            }
        }
    }
}

fn credentials(key: &str, secret: &str, token: Option<&str>) -> Credentials {
    match token {
        Some(token) => Credentials::new_with_token(key, secret, token),
        None => Credentials::new(key, secret),
    }
}

fn file(path: &Path, profile: &str) -> Result<Credentials> {
    let wrong =
        |reason: String| StorageError::Format(format!("the credentials {}: {reason}", path.display()));
    let bytes = sys::file::read_bounded(path, MOST).map_err(|error| wrong(error.to_string()))?;
    section(&String::from_utf8_lossy(&bytes), profile)
        .ok_or_else(|| wrong(format!("no key and secret in the section [{profile}]")))
}

/// Reads the section of a file in which `[profile]` is followed by `name = value`.
fn section(text: &str, profile: &str) -> Option<Credentials> {
    let (mut key, mut secret, mut token) = (None, None, None);
    let mut is_ours = false;
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            is_ours = name.trim() == profile;
        } else if is_ours && let Some((name, value)) = line.split_once('=') {
            let value = Some(value.trim().to_owned()).filter(|value| !value.is_empty());
            match name.trim() {
                "aws_access_key_id" => key = value,
                "aws_secret_access_key" => secret = value,
                "aws_session_token" => token = value,
                _ => {}
            }
        }
    }
    Some(credentials(&key?, &secret?, token.as_deref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_of_a_file() {
        let text = "[default]\naws_access_key_id=a\n# no\n aws_secret_access_key = b=c \n\n[ other ]\n\
                    aws_access_key_id = d\naws_secret_access_key = e\naws_session_token = f\n[half]\naws_access_key_id = x\n";
        let found = section(text, "default").unwrap();
        assert_eq!((found.key(), found.secret(), found.token()), ("a", "b=c", None));
        let found = section(text, "other").unwrap();
        assert_eq!((found.key(), found.secret(), found.token()), ("d", "e", Some("f")));
        assert!(section(text, "half").is_none() && section(text, "none").is_none());
    }

    #[test]
    fn a_file_without_the_section_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "[other]\naws_secret_access_key = hush\n").unwrap();
        let error = super::file(file.path(), "default").err().unwrap().to_string();
        assert!(error.contains("[default]") && !error.contains("hush"), "{error}");
    }
}
