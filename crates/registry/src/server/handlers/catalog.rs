//! The catalog: `GET /v2/_catalog`, in pages that a client can't make larger (CVE-2023-2253).

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use hyper::StatusCode;
use serde_json::json;

use super::page;
use crate::server::error::Result;
use crate::server::http::answer::{self, Answer};
use crate::server::http::call::Call;
use crate::server::limits;
use crate::server::name::Name;
use crate::server::storage::{Prefix, StorageError, component, name_of};

/// Repositories that are looked into at once.
const AT_ONCE: usize = 16;

/// The repositories that the caller may pull from and that have manifests.
pub(crate) async fn list(call: &Call) -> Result<Answer> {
    let limit = page::count(call, true)?.unwrap_or(limits::DEFAULT_PAGE);
    let last = call.query("last").and_then(|last| last.parse::<Name>().ok());
    let mut names = names(call, last.as_ref(), limit + 1).await?;
    let mut builder = answer::status(StatusCode::OK);
    if names.len() > limit {
        names.truncate(limit);
        if let Some(last) = names.last() {
            builder =
                page::link(builder, "/v2/_catalog", &[("last", last.as_str()), ("n", &limit.to_string())]);
        }
    }
    let names: Vec<&str> = names.iter().map(Name::as_str).collect();
    Ok(builder.json(&json!({ "repositories": names })))
}

/// At most `limit` repositories after `last` that the caller may pull from and that have manifests.
pub(super) async fn names(call: &Call, last: Option<&Name>, limit: usize) -> Result<Vec<Name>> {
    let mut after = last.map(component);
    let mut names: Vec<Name> = Vec::new();
    let storage = &call.registry.storage;
    loop {
        let entries = storage.list(&Prefix::repositories(), after.as_deref(), limits::PAGE).await?;
        let is_last = entries.len() < limits::PAGE;
        after = entries.last().map(|entry| entry.name.clone());
        let seen = entries.iter().filter_map(|entry| name_of(&entry.name));
        let asking: Vec<_> = seen
            .filter(|name| call.caller.sees(name))
            .map(|name| async move {
                let is_empty = storage.list(&Prefix::manifests(&name), None, 1).await?.is_empty();
                Ok::<_, StorageError>((!is_empty).then_some(name))
            })
            .collect();
        let mut found = stream::iter(asking).buffered(AT_ONCE);
        while let Some(name) = found.try_next().await? {
            if names.len() >= limit {
                return Ok(names);
            }
            names.extend(name);
        }
        if is_last {
            return Ok(names);
        }
    }
}
