//! Tags of a repository: `GET /v2/NAME/tags/list` (end-8).

use hyper::StatusCode;
use serde_json::json;

use super::page;
use crate::server::error::{Code, Error, Result};
use crate::server::http::answer::{self, Answer};
use crate::server::http::call::Call;
use crate::server::limits;
use crate::server::name::{Name, Tag};
use crate::server::repository::Repository;

/// All tags, sorted, or a page of them.
pub(crate) async fn list(call: &Call, name: &Name) -> Result<Answer> {
    let repository = Repository::new(&call.registry, name);
    let asked = page::count(call, false)?;
    let limit = asked.unwrap_or(limits::PAGE);
    if let Some(upstream) = &call.registry.upstream
        && let Some(tags) = upstream.tags(name).await?
    {
        return Ok(whole(call, name, tags, limit));
    }
    let tags = repository.tags(call.query("last").as_deref(), limit + 1).await?;
    if tags.is_empty() && !repository.is_known().await? {
        let error = Error::new(Code::NameUnknown, "repository name not known to registry");
        return Err(error.detail(json!({ "name": name.as_str() })));
    }
    Ok(answer(name, tags, limit))
}

/// A page of all tags.
fn whole(call: &Call, name: &Name, mut tags: Vec<Tag>, limit: usize) -> Answer {
    tags.sort();
    if let Some(last) = call.query("last") {
        tags.retain(|tag| tag.as_str() > last.as_str());
    }
    answer(name, tags, limit)
}

/// At most `limit` tags, and a link to the next page when there are more.
fn answer(name: &Name, mut tags: Vec<Tag>, limit: usize) -> Answer {
    let mut builder = answer::status(StatusCode::OK);
    if tags.len() > limit {
        tags.truncate(limit);
        if let Some(last) = tags.last() {
            let path = format!("/v2/{name}/tags/list");
            builder = page::link(builder, &path, &[("last", last.as_str()), ("n", &limit.to_string())]);
        }
    }
    let tags: Vec<&str> = tags.iter().map(Tag::as_str).collect();
    builder.json(&json!({ "name": name.as_str(), "tags": tags }))
}
