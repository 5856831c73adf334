//! Lists that come in pages.

use hyper::Method;

use super::auth::Scopes;
use super::endpoint::Capability;
use super::error::{Error, Result};
use super::exchange::{Call, Peer};
use super::limits::{MAX_ENTRIES, MAX_PAGE, MAX_PAGES};
use super::link;
use super::repository::{Registry, Repository};
use super::url::Url;

/// Entries that are asked for at once.
const PAGE: &str = "1000";

impl Repository {
    /// All tags, in the registry's order.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when there is no such repository; [`Error`].
    pub async fn tags(&self) -> Result<Vec<String>> {
        #[derive(serde::Deserialize)]
        struct Page {
            tags: Option<Vec<String>>,
        }
        let mut tries = self.tries(Capability::Resolve).await?;
        loop {
            let url = tries.peer().endpoint.url(&format!("/{}/tags/list", self.path));
            let result = pages(tries.peer(), url, self.pulling(), |bytes| {
                serde_json::from_slice::<Page>(bytes).map(|page| page.tags.unwrap_or_default())
            });
            let result = result.await;
            if let Some(result) = tries.judge(result) {
                return result;
            }
        }
    }
}

impl Registry {
    /// The names of all repositories, where the registry tells them.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn catalog(&self) -> Result<Vec<String>> {
        #[derive(serde::Deserialize)]
        struct Page {
            repositories: Option<Vec<String>>,
        }
        let mut tries = self.tries(None).await?;
        loop {
            let url = tries.peer().endpoint.url("/_catalog");
            let result = pages(tries.peer(), url, Scopes::catalog(), |bytes| {
                serde_json::from_slice::<Page>(bytes).map(|page| page.repositories.unwrap_or_default())
            });
            let result = result.await;
            if let Some(result) = tries.judge(result) {
                return result;
            }
        }
    }
}

async fn pages(
    peer: &Peer,
    url: Url,
    scopes: Scopes,
    read: impl Fn(&[u8]) -> serde_json::Result<Vec<String>>,
) -> Result<Vec<String>> {
    let first = url.clone();
    let mut next = Some(url.with_parameter("n", PAGE));
    let mut all: Vec<String> = Vec::new();
    for _ in 0..MAX_PAGES {
        let Some(url) = next else { return Ok(all) };
        let call = Call::new(Method::GET, url.clone(), scopes.clone());
        let answer = peer.fetch(&call, MAX_PAGE, &format!("{first}: a page of the list")).await?;
        let page =
            read(&answer.bytes).map_err(|error| Error::protocol(&first, format!("is no list: {error}")))?;
        // a page that brings nothing new would bring it for ever
        let stands = page.is_empty() || page.last() == all.last();
        all.extend(page);
        if all.len() > MAX_ENTRIES {
            return Err(Error::protocol(&first, format!("lists more than {MAX_ENTRIES} entries")));
        }
        next = link::next(&answer.headers, &url)?.filter(|_| !stands);
    }
    Err(Error::protocol(&first, format!("has more than {MAX_PAGES} pages")))
}
