//! Blobs: `GET`, `HEAD` and `DELETE /v2/NAME/blobs/DIGEST` (end-2, end-10).

use hyper::header;
use hyper::{Method, StatusCode};
use oci::Digest;

use super::{deletable, tell};
use crate::server::error::{Code, Error, Result};
use crate::server::events::{Action, Target};
use crate::server::http::answer::{self, Answer, Builder, CONTENT_DIGEST};
use crate::server::http::call::Call;
use crate::server::http::range::{Asked, asked};
use crate::server::name::Name;
use crate::server::repository::Repository;
use crate::server::repository::blobs::unknown;
use crate::server::storage::Key;

/// A blob never changes: whoever has it has it.
const FOREVER: &str = "max-age=31536000";

/// The blob, a part of it, or that there is one.
pub(crate) async fn get(call: &Call, name: &Name, digest: &Digest) -> Result<Answer> {
    let repository = Repository::new(&call.registry, name);
    let tag = format!("\"{digest}\"");
    let builder = |status| headers(status, digest);
    if let Some(answer) = fetched(call, &repository, digest).await? {
        return Ok(answer);
    }
    if call.method == Method::HEAD {
        let meta = repository.blob(digest).await?.ok_or_else(|| unknown(digest))?;
        let builder = builder(StatusCode::OK)
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .header(header::ACCEPT_RANGES, "bytes");
        return Ok(builder.length(meta.size).empty());
    }
    let object = repository.open_blob(digest).await?;
    if matches(call, &header::IF_NONE_MATCH, &tag) {
        return Ok(builder(StatusCode::NOT_MODIFIED).empty());
    }
    let size = object.meta().size;
    if let Some(url) = call.registry.storage.location(&Key::blob(digest)).await? {
        tell(call, Action::Pull, name, Target::Blob { digest: digest.clone(), size: Some(size) });
        // a signature ends, and the next one is another: nobody keeps this answer
        return Ok(answer::status(StatusCode::TEMPORARY_REDIRECT)
            .header(CONTENT_DIGEST, digest.as_str())
            .header(header::CACHE_CONTROL, "no-store")
            .header(header::LOCATION, url)
            .length(0)
            .empty());
    }
    // a part of something else than what the client has is of no use to it
    let wanted = call.headers.get(header::IF_RANGE).is_none() || matches(call, &header::IF_RANGE, &tag);
    let (status, range) = match asked(call.header(&header::RANGE).filter(|_| wanted), size) {
        Asked::Whole => (StatusCode::OK, 0..size),
        Asked::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Asked::Outside => {
            let error = Error::new(Code::RangeInvalid, format!("the blob has {size} bytes"));
            return Err(error.header(header::CONTENT_RANGE, format!("bytes */{size}")));
        }
    };
    let mut builder = builder(status)
        .header(header::CONTENT_TYPE, "application/octet-stream")
        .header(header::ACCEPT_RANGES, "bytes")
        .length(range.end - range.start);
    if status == StatusCode::PARTIAL_CONTENT {
        builder =
            builder.header(header::CONTENT_RANGE, format!("bytes {}-{}/{size}", range.start, range.end - 1));
    }
    tell(call, Action::Pull, name, Target::Blob { digest: digest.clone(), size: Some(size) });
    let hold = call.registry.activity.hold(digest);
    let registry = std::sync::Arc::clone(&call.registry);
    Ok(builder.stream(held(object.read(range), hold, registry)))
}

/// What all answers about a blob have.
fn headers(status: StatusCode, digest: &Digest) -> Builder {
    answer::status(status)
        .header(CONTENT_DIGEST, digest.as_str())
        .header(header::ETAG, format!("\"{digest}\""))
        .header(header::CACHE_CONTROL, FOREVER)
}

/// Fetches a blob that is not here, if this is a cache, and answers with it as it comes. None: it is here now, or it is
/// no cache.
async fn fetched(call: &Call, repository: &Repository<'_>, digest: &Digest) -> Result<Option<Answer>> {
    let Some(upstream) = &call.registry.upstream else { return Ok(None) };
    if repository.blob(digest).await?.is_some() {
        return Ok(None);
    }
    let fetch = upstream.fetch(&call.registry, repository.name, digest).await?;
    let whole = call.headers.get(header::RANGE).is_none();
    // an answer without bytes can't break off: whether nothing is right is known before it
    let Some(size) = fetch.size().filter(|size| whole && *size > 0) else {
        fetch.done().await?;
        return Ok(None);
    };
    let builder = headers(StatusCode::OK, digest)
        .header(header::CONTENT_TYPE, "application/octet-stream")
        .header(header::ACCEPT_RANGES, "bytes")
        .length(size);
    if call.method == Method::HEAD {
        return Ok(Some(builder.empty()));
    }
    let target = Target::Blob { digest: digest.clone(), size: Some(size) };
    tell(call, Action::Pull, repository.name, target);
    let hold = call.registry.activity.hold(digest);
    let registry = std::sync::Arc::clone(&call.registry);
    Ok(Some(builder.stream(held(fetch.chunks(&registry), hold, registry))))
}

/// The chunks, with the blob held until the last.
fn held(
    chunks: crate::server::storage::Chunks,
    hold: crate::server::activity::Hold,
    registry: std::sync::Arc<crate::server::Registry>,
) -> crate::server::storage::Chunks {
    use futures_util::StreamExt as _;
    Box::pin(chunks.map(move |chunk| {
        let _held = &hold;
        registry.metrics.sent(chunk.as_ref().map_or(0, |bytes| bytes.len() as u64));
        chunk
    }))
}

/// Whether a header names this entity tag, or any.
pub(crate) fn matches(call: &Call, header: &header::HeaderName, tag: &str) -> bool {
    let Some(text) = call.header(header) else { return false };
    text.split(',').map(str::trim).any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}

/// The repository has the blob no more.
pub(crate) async fn delete(call: &Call, name: &Name, digest: &Digest) -> Result<Answer> {
    deletable(call)?;
    Repository::new(&call.registry, name).delete_blob(digest).await?;
    tell(call, Action::Delete, name, Target::Blob { digest: digest.clone(), size: None });
    Ok(answer::status(StatusCode::ACCEPTED).header(CONTENT_DIGEST, digest.as_str()).length(0).empty())
}
