//! Listings: the names directly below a prefix, and all keys below it.

use std::time::SystemTime;

use hyper::header::{DATE, HeaderMap};
use jiff::Timestamp;

use super::super::{Entry, Result, StorageError};
use super::bucket::Bucket;
use super::objects::date;
use super::xml::Element;

/// The most keys that a store lists at once.
const PAGE: usize = 1000;

/// An object in a listing.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    /// The key, below the storage's prefix.
    pub(super) key: String,
    pub(super) size: u64,
    pub(super) modified: SystemTime,
}

impl Bucket {
    /// At most `limit` names directly below a prefix, from `after` on.
    pub(super) async fn names(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<Entry>> {
        let below = self.full(&format!("{prefix}/"));
        let mut query = vec![
            ("list-type", "2".to_owned()),
            ("delimiter", "/".to_owned()),
            ("prefix", below.clone()),
            // one more: where it begins may be a name that has keys below it, and then it comes once more
            ("max-keys", limit.saturating_add(1).min(PAGE).to_string()),
        ];
        query.extend(after.map(|after| ("start-after", format!("{below}{after}"))));
        let mut found = Vec::new();
        let mut token = None;
        while found.len() < limit {
            let mut query = query.clone();
            query.extend(token.take().map(|token| ("continuation-token", token)));
            let (_, page) = self.page(&query).await?;
            let mut entries = entries(&page, &below);
            entries.retain(|entry| after.is_none_or(|after| entry.name.as_str() > after));
            entries.sort_unstable();
            found.append(&mut entries);
            token = next(&page)?;
            if token.is_none() {
                break;
            }
        }
        found.truncate(limit);
        Ok(found)
    }

    /// A page of all keys below a prefix, the next page's token, and what time it is for the store.
    pub(super) async fn below(
        &self,
        prefix: &str,
        token: Option<String>,
    ) -> Result<(Vec<Listed>, Option<String>, SystemTime)> {
        let mut query = vec![("list-type", "2".to_owned()), ("prefix", self.full(&format!("{prefix}/")))];
        query.extend(token.map(|token| ("continuation-token", token)));
        let (headers, page) = self.page(&query).await?;
        let listed = page.children("Contents").map(|object| self.listed(object)).collect::<Option<_>>();
        let listed = listed.ok_or_else(|| {
            StorageError::Format(format!("the store lists something below {prefix} that is no object"))
        })?;
        Ok((listed, next(&page)?, clock(&headers)))
    }

    fn listed(&self, object: &Element) -> Option<Listed> {
        Some(Listed {
            key: self.short(object.value("Key")?)?.to_owned(),
            size: object.value("Size")?.trim().parse().ok()?,
            modified: stamp(object.value("LastModified")?)?,
        })
    }
}

/// The names of a page.
fn entries(page: &Element, below: &str) -> Vec<Entry> {
    let name = |text: &str| Some(text.strip_prefix(below)?.to_owned()).filter(|name| !name.is_empty());
    let objects = page.children("Contents").filter_map(|one| name(one.value("Key")?));
    let prefixes =
        page.children("CommonPrefixes").filter_map(|one| name(one.value("Prefix")?.strip_suffix('/')?));
    objects
        .map(|name| Entry { name, is_prefix: false })
        .chain(prefixes.map(|name| Entry { name, is_prefix: true }))
        .filter(|entry| !entry.name.contains('/'))
        .collect()
}

/// Where the next page begins. A listing that has more, and does not say where, would look like a short one.
fn next(page: &Element) -> Result<Option<String>> {
    if page.value("IsTruncated").map(str::trim) != Some("true") {
        return Ok(None);
    }
    match page.value("NextContinuationToken").filter(|token| !token.is_empty()) {
        Some(token) => Ok(Some(token.to_owned())),
        None => Err(StorageError::Format("the store breaks a listing off and does not say where".into())),
    }
}

/// A time in a document.
pub(super) fn stamp(text: &str) -> Option<SystemTime> {
    Some(text.trim().parse::<Timestamp>().ok()?.into())
}

/// What time it is for the store, as far as it says so.
fn clock(headers: &HeaderMap) -> SystemTime {
    let told = headers.get(DATE).and_then(|value| date(value.to_str().ok()?));
    told.unwrap_or_else(SystemTime::now)
}
