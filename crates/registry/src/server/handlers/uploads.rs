//! Uploads: begin, append, ask, finish, cancel, and mount instead (end-4 to end-6, end-11, end-13).

use hyper::StatusCode;
use hyper::header;
use oci::{Algorithm, Digest};

use super::tell;
use crate::server::auth;
use crate::server::error::{Code, Error, Result};
use crate::server::events::{Action, Target};
use crate::server::http::answer::{self, Answer, CONTENT_DIGEST, UPLOAD_UUID};
use crate::server::http::call::Call;
use crate::server::http::range::chunk;
use crate::server::http::route;
use crate::server::name::Name;
use crate::server::repository::Repository;
use crate::server::repository::receive::{Terms, receive};
use crate::server::repository::uploads::Upload;
use crate::server::storage::{ALGORITHMS, StorageError, UploadId};

/// `POST /v2/NAME/blobs/uploads/`: an upload begins; or a blob is mounted; or it comes with this request.
pub(crate) async fn begin(mut call: Call, name: &Name) -> Result<Answer> {
    let registry = std::sync::Arc::clone(&call.registry);
    let repository = Repository::new(&registry, name);
    if let Some(mount) = call.query("mount") {
        let digest = route::digest(&mount)?;
        if mounted(&call, &repository, &digest).await? {
            tell(&call, Action::Mount, name, Target::Blob { digest: digest.clone(), size: None });
            return Ok(created(name, &digest));
        }
    } else if let Some(digest) = call.query("digest") {
        let digest = route::digest(&digest)?;
        // a client that sends nothing yet will go on as with any upload
        if call.length() != Some(0) || digest == empty(digest.algorithm()) {
            let upload = repository.begin_upload(digest.algorithm()).await?;
            return complete(&mut call, name, upload, &digest, true).await;
        }
    }
    let upload = repository.begin_upload(algorithm(&call)?).await?;
    Ok(progress(StatusCode::ACCEPTED, name, &upload.id, 0))
}

/// `PATCH`: the next part.
pub(crate) async fn append(mut call: Call, name: &Name, id: Option<UploadId>) -> Result<Answer> {
    let registry = std::sync::Arc::clone(&call.registry);
    let repository = Repository::new(&registry, name);
    let mut upload = repository.take_upload(&known(id)?).await?;
    take(&mut call, name, &mut upload).await?;
    Ok(progress(StatusCode::ACCEPTED, name, &upload.id, upload.size))
}

/// `PUT ?digest=`: the last part, if any, and the end.
pub(crate) async fn finish(mut call: Call, name: &Name, id: Option<UploadId>) -> Result<Answer> {
    let registry = std::sync::Arc::clone(&call.registry);
    let repository = Repository::new(&registry, name);
    let id = known(id)?;
    let Some(digest) = call.query("digest") else {
        repository.upload_size(&id).await?;
        return Err(Error::new(Code::DigestInvalid, "the query has no digest"));
    };
    let digest = route::digest(&digest)?;
    let upload = repository.take_upload(&id).await?;
    complete(&mut call, name, upload, &digest, false).await
}

/// `GET`: how far is it?
pub(crate) async fn status(call: &Call, name: &Name, id: Option<UploadId>) -> Result<Answer> {
    let id = known(id)?;
    let size = Repository::new(&call.registry, name).upload_size(&id).await?;
    Ok(progress(StatusCode::NO_CONTENT, name, &id, size))
}

/// `DELETE`: not any more.
pub(crate) async fn cancel(call: &Call, name: &Name, id: Option<UploadId>) -> Result<Answer> {
    let repository = Repository::new(&call.registry, name);
    let upload = repository.take_upload(&known(id)?).await?;
    let id = upload.id.to_string();
    repository.abort_upload(upload).await?;
    Ok(answer::status(StatusCode::NO_CONTENT).header(UPLOAD_UUID, id).empty())
}

/// What is not of the form of an id is no upload.
fn known(id: Option<UploadId>) -> Result<UploadId> {
    Ok(id.ok_or(StorageError::NoUpload)?)
}

/// The blob is in this repository already, or in the other one, which the caller may pull from. Everything else looks the
/// same to them: the other one is not theirs, does not have it, does not exist.
async fn mounted(call: &Call, repository: &Repository<'_>, digest: &Digest) -> Result<bool> {
    let _hold = call.registry.activity.hold(digest);
    if repository.blob(digest).await?.is_some() {
        return Ok(true);
    }
    let Some(source) = call.query("from").and_then(|from| from.parse::<Name>().ok()) else {
        return Ok(false);
    };
    if !call.caller.may(&source, auth::Action::Pull) {
        return Ok(false);
    }
    if Repository::new(&call.registry, &source).blob(digest).await?.is_none() {
        return Ok(false);
    }
    repository.link_blob(digest).await?;
    Ok(true)
}

/// The algorithm that the digest will have, if the client says so now.
fn algorithm(call: &Call) -> Result<Algorithm> {
    let Some(name) = call.query("digest-algorithm") else { return Ok(Algorithm::Sha256) };
    let known = ALGORITHMS.into_iter().find(|one| one.as_str() == name);
    known.ok_or_else(|| Error::new(Code::DigestInvalid, "unsupported digest algorithm, use sha256 or sha512"))
}

/// Takes the body into the upload.
async fn take(call: &mut Call, name: &Name, upload: &mut Upload) -> Result<()> {
    if let Some(text) = call.header(&header::CONTENT_RANGE) {
        let refused = |message: String| {
            Error::new(Code::RangeInvalid, message)
                .header(header::LOCATION, location(name, &upload.id))
                .header(header::RANGE, so_far(upload.size))
                .header(UPLOAD_UUID, upload.id.to_string())
        };
        let range = chunk(text).ok_or_else(|| refused(format!("no range of an upload: {text:?}")))?;
        if range.start != upload.size {
            return Err(refused(format!(
                "the upload has {} bytes, the chunk begins at {}",
                upload.size, range.start
            )));
        }
        if call.length().is_some_and(|length| length != range.end - range.start) {
            return Err(Error::new(Code::SizeInvalid, "Content-Length is not the length of Content-Range"));
        }
    }
    let http = &call.registry.config.http;
    let terms = Terms {
        limit: call.registry.config.uploads.max_size.map(|size| size.0),
        patience: http.idle_timeout.0,
    };
    let before = upload.size;
    let outcome = receive(&*call.registry.storage, upload, &mut call.body, &terms).await;
    call.registry.metrics.received(upload.size.saturating_sub(before));
    outcome
}

/// Takes what is left, and makes the upload a blob. One that is not gone on with (`alone`) is gone if that fails.
async fn complete(
    call: &mut Call,
    name: &Name,
    mut upload: Upload,
    digest: &Digest,
    alone: bool,
) -> Result<Answer> {
    let registry = std::sync::Arc::clone(&call.registry);
    let repository = Repository::new(&registry, name);
    if let Err(error) = take(call, name, &mut upload).await {
        if alone || error.code == Code::TooLarge {
            repository.abort_upload(upload).await?;
        }
        return Err(error);
    }
    let size = upload.size;
    repository.finish_upload(upload, digest).await?;
    tell(call, Action::Push, name, Target::Blob { digest: digest.clone(), size: Some(size) });
    Ok(created(name, digest))
}

fn created(name: &Name, digest: &Digest) -> Answer {
    answer::status(StatusCode::CREATED)
        .header(header::LOCATION, format!("/v2/{name}/blobs/{digest}"))
        .header(CONTENT_DIGEST, digest.as_str())
        .length(0)
        .empty()
}

fn progress(status: StatusCode, name: &Name, id: &UploadId, size: u64) -> Answer {
    let builder = answer::status(status)
        .header(header::LOCATION, location(name, id))
        .header(header::RANGE, so_far(size))
        .header(UPLOAD_UUID, id.to_string());
    if status == StatusCode::NO_CONTENT { builder.empty() } else { builder.length(0).empty() }
}

fn location(name: &Name, id: &UploadId) -> String {
    format!("/v2/{name}/blobs/uploads/{id}")
}

/// Which bytes are there. The protocol has no word for none; `0-0` is what Docker's registry says.
fn so_far(size: u64) -> String {
    format!("0-{}", size.saturating_sub(1))
}

/// The digest of nothing.
fn empty(algorithm: Algorithm) -> Digest {
    crate::server::repository::uploads::digest_of(algorithm, b"")
}
