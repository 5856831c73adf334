//! Blobs: `GET`, `HEAD` and `DELETE /v2/NAME/blobs/DIGEST` (end-2, end-10).

use hyper::header;
use hyper::{Method, StatusCode};
use oci::Digest;

use super::{deletable, tell};
use crate::server::error::{Code, Error, Result};
use crate::server::events::{Action, Target};
use crate::server::http::answer::{self, Answer, CONTENT_DIGEST};
use crate::server::http::call::Call;
use crate::server::http::range::{Asked, asked};
use crate::server::name::Name;
use crate::server::repository::Repository;
use crate::server::repository::blobs::unknown;

/// A blob never changes: whoever has it has it.
const FOREVER: &str = "max-age=31536000";

/// The blob, a part of it, or that there is one.
pub(crate) async fn get(call: &Call, name: &Name, digest: &Digest) -> Result<Answer> {
    let repository = Repository::new(&call.registry, name);
    let tag = format!("\"{digest}\"");
    let builder = |status| {
        answer::status(status)
            .header(CONTENT_DIGEST, digest.as_str())
            .header(header::ETAG, &tag)
            .header(header::CACHE_CONTROL, FOREVER)
    };
    if let Some(upstream) = &call.registry.upstream
        && repository.blob(digest).await?.is_none()
    {
        let fetch = upstream.fetch(&call.registry, name, digest).await?;
        let whole = call.headers.get(header::RANGE).is_none();
        match fetch.size().filter(|_| whole) {
            Some(size) => {
                let builder = builder(StatusCode::OK)
                    .header(header::CONTENT_TYPE, "application/octet-stream")
                    .header(header::ACCEPT_RANGES, "bytes")
                    .length(size);
                if call.method == Method::HEAD {
                    return Ok(builder.empty());
                }
                tell(call, Action::Pull, name, Target::Blob { digest: digest.clone(), size: Some(size) });
                let hold = call.registry.activity.hold(digest);
                let registry = std::sync::Arc::clone(&call.registry);
                return Ok(builder.stream(held(fetch.chunks(&registry), hold, registry)));
            }
            None => fetch.done().await?,
        }
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
