//! A cache of another registry: what is asked for is fetched once, kept, and served again also when the other one is down.

mod fetch;

use std::collections::HashMap;
use std::io::Read as _;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use hyper::Method;
use jiff::Timestamp;
use oci::Digest;

use super::auth::AuthError;
use super::config;
use super::error::{Code, Error, Result};
use super::http::route::{Reference, Route};
use super::name::{Name, Tag};
use super::repository::Repository;
use super::repository::document::{Document, Referrer};
use super::repository::manifests::unknown;
use super::storage::Key;
use crate::client::{self, Client, Credentials, InsecureRegistries, Retry, Target, Time};
use fetch::Fetch;

/// The most bytes of a password.
const PASSWORD: u64 = 64 << 10;

/// Who waits behind us is answered with what is kept rather than late.
const CONNECT: Duration = Duration::from_secs(5);

/// The other registry.
pub(crate) struct Upstream {
    registry: client::Registry,
    revalidate: Duration,
    /// Blobs on their way.
    fetches: Mutex<HashMap<(Name, Digest), Fetch>>,
}

impl Upstream {
    /// Reads the password. Nobody is asked yet.
    pub(crate) fn new(config: &config::Upstream) -> Result<Self, AuthError> {
        let credentials = match (&config.username, &config.password) {
            (Some(username), Some(path)) => {
                Credentials::Basic { username: username.clone(), password: password(path)? }
            }
            _ => Credentials::Anonymous,
        };
        let wrong = |error: client::Error| AuthError::wrong(Path::new("upstream"), error.to_string());
        let insecure = config.insecure.then_some(config.registry.as_str());
        let client = Client::new(client::Config {
            insecure: InsecureRegistries::parse(insecure).map_err(wrong)?,
            certs_d: config.certs_d.iter().cloned().collect(),
            time: Time { connect: CONNECT, ..Time::default() },
            retry: Retry { attempts: 2, ..Retry::default() },
            ..client::Config::default()
        })
        .map_err(wrong)?;
        Ok(Self {
            registry: client.registry(&config.registry, credentials),
            revalidate: config.revalidate.0,
            fetches: Mutex::default(),
        })
    }

    fn repository(&self, name: &Name) -> client::Repository {
        client::Repository::new(self.registry.clone(), name.as_str())
    }

    /// What is pushed belongs into the other registry.
    pub(crate) fn refuse_pushes(&self, method: &Method, route: &Route) -> Result<()> {
        let is_push = match route {
            Route::Uploads(_) | Route::Upload(..) => true,
            Route::Manifest(..) => *method == Method::PUT,
            _ => false,
        };
        if !is_push {
            return Ok(());
        }
        let message = format!("this registry is a cache of {}: push there", self.registry.domain);
        Err(Error::new(Code::Unsupported, message))
    }

    /// Sees to it that a manifest is here, and that a tag is what it is there; or was, when nobody answers there.
    pub(crate) async fn refresh(&self, repository: &Repository<'_>, reference: &Reference) -> Result<()> {
        match reference {
            Reference::Tag(tag) => self.refresh_tag(repository, tag).await,
            Reference::Digest(digest) => {
                if repository.renew(&Key::manifest(repository.name, digest)).await? {
                    return Ok(());
                }
                self.take(repository, Target::Digest(digest.clone()), &[]).await
            }
            Reference::Invalid(_) => Ok(()),
        }
    }

    async fn refresh_tag(&self, repository: &Repository<'_>, tag: &Tag) -> Result<()> {
        let known = match repository.tag(tag).await? {
            Some(record) if repository.manifest(&record.digest).await?.is_some() => Some(record),
            _ => None,
        };
        let age = known.as_ref().map(|record| Timestamp::now().duration_since(record.at));
        if age.is_some_and(|age| Duration::try_from(age).is_ok_and(|age| age < self.revalidate)) {
            return Ok(());
        }
        let target = Target::Tag(tag.as_str().into());
        let Some(known) = known else {
            return self.take(repository, target, std::slice::from_ref(tag)).await;
        };
        let outcome = match self.repository(repository.name).resolve(&target).await {
            Ok(found) if found.digest == known.digest => {
                repository.renew(&Key::manifest(repository.name, &known.digest)).await?;
                repository.put_tag(tag, &known.digest).await
            }
            Ok(found) => self.take(repository, Target::Digest(found.digest), std::slice::from_ref(tag)).await,
            Err(error) => Err(self.failed(&error, unknown(tag.as_str()))),
        };
        match outcome {
            Err(error) if error.code == Code::ManifestUnknown => {
                // it is gone there, too
                repository.delete_tag(tag).await.ok();
                Err(error)
            }
            Err(error) if matches!(error.code, Code::Unavailable | Code::TooManyRequests) => Ok(()),
            outcome => outcome,
        }
    }

    /// Fetches a manifest and keeps it.
    async fn take(&self, repository: &Repository<'_>, target: Target, tags: &[Tag]) -> Result<()> {
        let shown = match &target {
            Target::Tag(tag) => tag.clone(),
            Target::Digest(digest) => digest.to_string(),
        };
        let found = self.repository(repository.name).manifest(&target).await;
        let found = found.map_err(|error| self.failed(&error, unknown(&shown)))?;
        let document = Document::parse(Some(&found.descriptor.media_type), &found.bytes)?;
        repository.store_manifest(&found.descriptor.digest, found.bytes, &document, tags).await
    }

    /// All tags there; none when nobody answers.
    pub(crate) async fn tags(&self, name: &Name) -> Result<Option<Vec<Tag>>> {
        match self.repository(name).tags().await {
            Ok(tags) => Ok(Some(tags.iter().filter_map(|tag| tag.parse().ok()).collect())),
            Err(error) => {
                let nothing = Error::new(Code::NameUnknown, "repository name not known to registry");
                let error = self.failed(&error, nothing);
                let is_down = matches!(error.code, Code::Unavailable | Code::TooManyRequests);
                if is_down { Ok(None) } else { Err(error) }
            }
        }
    }

    /// Notes what refers to a manifest there. When nobody answers, what is known is all there is.
    pub(crate) async fn refresh_referrers(
        &self,
        repository: &Repository<'_>,
        subject: &Digest,
    ) -> Result<()> {
        let found = match self.repository(repository.name).referrers(subject, None).await {
            Ok(found) => found,
            Err(error) => {
                let _said = self.failed(&error, unknown(subject.as_str()));
                return Ok(());
            }
        };
        for one in found {
            let referrer = Referrer {
                media_type: one.descriptor.media_type,
                digest: one.descriptor.digest.clone(),
                size: one.descriptor.size,
                artifact_type: Some(one.artifact_type).filter(|text| !text.is_empty()),
                annotations: one.descriptor.annotations.into_iter().collect(),
            };
            let key = Key::referrer(repository.name, subject, &one.descriptor.digest);
            repository.put_record(&key, &referrer).await?;
        }
        Ok(())
    }

    /// What a client is told of an error there; `nothing` when it is that there is no such thing.
    fn failed(&self, error: &client::Error, nothing: Error) -> Error {
        let domain = &self.registry.domain;
        if error.is_not_found() {
            return nothing;
        }
        tracing::warn!("{domain} does not give what is asked for: {error}");
        if error.status() == Some(429) {
            return Error::new(Code::TooManyRequests, format!("{domain} is asked too often"));
        }
        if error.is_denied() {
            return Error::new(Code::Denied, format!("{domain} does not give this to its cache"));
        }
        Error::new(Code::Unavailable, format!("{domain} does not answer, and this is not kept here"))
    }
}

fn password(path: &Path) -> Result<String, AuthError> {
    let read = || -> std::io::Result<String> {
        let mut text = String::new();
        std::fs::File::open(path)?.take(PASSWORD).read_to_string(&mut text)?;
        Ok(text)
    };
    let text = read().map_err(|source| AuthError::Read { path: path.into(), source })?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
