//! `/v1/search`: what registries with Docker's first API, Docker Hub among them, find by a word.

use std::sync::Arc;

use hyper::Method;

use super::auth::Scopes;
use super::error::{Error, Result, clean};
use super::exchange::{Call, Peer};
use super::limits::{MAX_FOUND, MAX_PAGE};
use super::repository::Registry;

/// A repository that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its name within the registry.
    pub name: String,
    /// What its owner says of it, in one line.
    pub description: String,
    /// How many like it.
    pub stars: u64,
    /// Published by Docker.
    pub official: bool,
    /// Built by the registry.
    pub automated: bool,
}

#[derive(serde::Deserialize)]
struct Page {
    #[serde(default)]
    results: Option<Vec<Entry>>,
}

#[derive(serde::Deserialize)]
struct Entry {
    name: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    star_count: i64,
    #[serde(default)]
    is_official: bool,
    #[serde(default)]
    is_automated: bool,
}

impl Registry {
    /// Repositories that have to do with `term`, at most `limit` (and never more than [`MAX_FOUND`]).
    ///
    /// # Errors
    /// [`Error::is_not_found`] when the registry has no search; [`Error`].
    pub async fn search(&self, term: &str, limit: usize) -> Result<Vec<Found>> {
        let limit = limit.min(MAX_FOUND);
        let mut tries = self.tries(None).await?;
        loop {
            let result = self.search_at(tries.peer(), term, limit).await;
            if let Some(result) = tries.judge(result) {
                return result;
            }
        }
    }

    async fn search_at(&self, peer: &Peer, term: &str, limit: usize) -> Result<Vec<Found>> {
        let endpoint = peer.inner.planner.search(&self.domain, &peer.endpoint);
        let url = endpoint.base.with_path("/v1/search");
        let url = url.with_parameter("q", term).with_parameter("n", &limit.to_string());
        let peer = Peer { endpoint: Arc::new(endpoint), ..peer.clone() };
        let call = Call::new(Method::GET, url.clone(), Scopes::search());
        let answer = peer.fetch(&call, MAX_PAGE, "the list of results").await?;
        let page: Page = serde_json::from_slice(&answer.bytes)
            .map_err(|error| Error::protocol(&url, format!("is no list of results: {error}")))?;
        let entries = page.results.unwrap_or_default().into_iter().take(limit);
        Ok(entries
            .map(|entry| Found {
                name: clean(&entry.name),
                description: clean(&entry.description.unwrap_or_default()),
                stars: u64::try_from(entry.star_count).unwrap_or_default(),
                official: entry.is_official,
                automated: entry.is_automated,
            })
            .collect())
    }
}
