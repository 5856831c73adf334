//! Manifests: `GET`, `HEAD`, `PUT` and `DELETE /v2/NAME/manifests/REFERENCE` (end-3, end-7, end-9).

use hyper::header;
use hyper::{Method, StatusCode};
use oci::{Algorithm, Digest, media_type};

use super::blobs::matches;
use super::{deletable, tell};
use crate::server::error::{Code, Error, Result};
use crate::server::events::{Action, Target};
use crate::server::http::answer::{self, Answer, CONTENT_DIGEST, SUBJECT};
use crate::server::http::call::{Call, query};
use crate::server::http::route::{self, Reference};
use crate::server::name::{Name, Tag};
use crate::server::repository::Repository;
use crate::server::repository::document::Document;
use crate::server::repository::manifests::{ManifestRecord, default_child, unknown};
use crate::server::repository::uploads::digest_of;

/// The most tags that one request may point to a manifest.
const TAGS: usize = 10;

/// The manifest, or that there is one.
pub(crate) async fn get(call: &Call, name: &Name, reference: &Reference) -> Result<Answer> {
    let repository = Repository::new(&call.registry, name);
    if let Some(upstream) = &call.registry.upstream {
        upstream.refresh(&repository, reference).await?;
    }
    let (mut digest, tag) = resolve(&repository, reference).await?;
    let shown = tag.as_ref().map_or(digest.as_str(), Tag::as_str).to_owned();
    let mut record = repository.manifest(&digest).await?.ok_or_else(|| unknown(&shown))?;
    if tag.is_some() && !accepts(call, &record.media_type) {
        (digest, record) = another(call, &repository, &digest, &record).await?;
    }
    call.registry.activity.told(&digest);
    let etag = format!("\"{digest}\"");
    let builder =
        |status| answer::status(status).header(CONTENT_DIGEST, digest.as_str()).header(header::ETAG, &etag);
    if matches(call, &header::IF_NONE_MATCH, &etag) {
        return Ok(builder(StatusCode::NOT_MODIFIED).empty());
    }
    let found = builder(StatusCode::OK).header(header::CONTENT_TYPE, &record.media_type);
    if call.method == Method::HEAD {
        return Ok(found.length(record.size).empty());
    }
    let bytes = repository.manifest_bytes(&digest).await?;
    let target = Target::Manifest {
        digest: digest.clone(),
        size: Some(record.size),
        media_type: Some(record.media_type.clone()),
        tag,
    };
    tell(call, Action::Pull, name, target);
    Ok(found.bytes(bytes))
}

async fn resolve(repository: &Repository<'_>, reference: &Reference) -> Result<(Digest, Option<Tag>)> {
    match reference {
        Reference::Digest(digest) => Ok((digest.clone(), None)),
        Reference::Tag(tag) => {
            let record = repository.tag(tag).await?.ok_or_else(|| unknown(tag.as_str()))?;
            Ok((record.digest, Some(tag.clone())))
        }
        Reference::Invalid(text) => Err(unknown(&text.chars().take(160).collect::<String>())),
    }
}

/// The client takes manifests of this type; one that says nothing takes all.
fn accepts(call: &Call, media_type: &str) -> bool {
    let mut named =
        call.headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).peekable();
    if named.peek().is_none() {
        return true;
    }
    named.flat_map(|value| value.split(',')).any(|one| {
        let one = one.split(';').next().unwrap_or(one).trim();
        one == media_type || matches!(one, "*/*" | "application/*")
    })
}

/// What a client gets that does not take the type of what the tag points to.
async fn another(
    call: &Call,
    repository: &Repository<'_>,
    digest: &Digest,
    record: &ManifestRecord,
) -> Result<(Digest, ManifestRecord)> {
    if media_type::is_index(&record.media_type)
        && let Some(child) = default_child(&repository.manifest_bytes(digest).await?)
        && let Some(found) = repository.manifest(&child).await?
        && accepts(call, &found.media_type)
    {
        return Ok((child, found));
    }
    let message =
        format!("a manifest of type {} was found, which the Accept header does not name", record.media_type);
    Err(Error::new(Code::ManifestUnknown, message))
}

/// Takes a manifest in.
pub(crate) async fn put(mut call: Call, name: &Name, reference: Reference) -> Result<Answer> {
    let registry = std::sync::Arc::clone(&call.registry);
    let repository = Repository::new(&registry, name);
    let tags = tags(&call, &reference)?;
    let limit = usize::try_from(registry.config.manifests.max_size.0).unwrap_or(usize::MAX);
    let bytes = call.read(limit).await?;
    let document = Document::parse(call.header(&header::CONTENT_TYPE), &bytes)?;
    let digest = match reference {
        Reference::Digest(digest) => {
            let found = digest_of(digest.algorithm(), &bytes);
            if found != digest {
                let error = Error::new(Code::DigestInvalid, "provided digest did not match uploaded content");
                return Err(error.detail(serde_json::json!({ "digest": digest, "found": found })));
            }
            digest
        }
        _ => promised(&call, &bytes)?,
    };
    let size = bytes.len() as u64;
    repository.put_manifest(&digest, bytes, &document, &tags).await?;
    let target = Target::Manifest {
        digest: digest.clone(),
        size: Some(size),
        media_type: Some(document.media_type),
        tag: tags.first().cloned(),
    };
    tell(&call, Action::Push, name, target);
    let mut builder = answer::status(StatusCode::CREATED)
        .header(header::LOCATION, format!("/v2/{name}/manifests/{digest}"))
        .header(CONTENT_DIGEST, digest.as_str());
    if let Some(subject) = &document.subject {
        builder = builder.header(SUBJECT, subject.as_str());
    }
    Ok(builder.length(0).empty())
}

/// The tags that will point to it: the one in the path, or those in the query beside a digest.
fn tags(call: &Call, reference: &Reference) -> Result<Vec<Tag>> {
    match reference {
        Reference::Tag(tag) => Ok(vec![tag.clone()]),
        Reference::Invalid(text) => Err(text
            .parse::<Tag>()
            .err()
            .map_or_else(|| Error::new(Code::TagInvalid, "invalid tag"), Error::from)),
        Reference::Digest(_) => {
            let tags: Vec<Tag> = query(&call.uri, "tag").map(|tag| tag.parse()).collect::<Result<_, _>>()?;
            if tags.len() > TAGS {
                return Err(Error::new(Code::TagInvalid, format!("a request may set {TAGS} tags at most")));
            }
            Ok(tags)
        }
    }
}

/// The digest of what was put by a tag; of the algorithm of the one that the client promises in the query, if it does.
fn promised(call: &Call, bytes: &[u8]) -> Result<Digest> {
    let Some(text) = call.query("digest") else { return Ok(digest_of(Algorithm::Sha256, bytes)) };
    let digest = route::digest(&text)?;
    if digest_of(digest.algorithm(), bytes) == digest {
        return Ok(digest);
    }
    Err(Error::new(Code::DigestInvalid, "provided digest did not match uploaded content"))
}

/// Removes a manifest, or a tag alone.
pub(crate) async fn delete(call: &Call, name: &Name, reference: &Reference) -> Result<Answer> {
    deletable(call)?;
    let repository = Repository::new(&call.registry, name);
    match reference {
        Reference::Tag(tag) => {
            repository.delete_tag(tag).await?;
            tell(call, Action::Delete, name, Target::Tag(tag.clone()));
        }
        Reference::Digest(digest) => {
            for tag in repository.delete_manifest(digest).await? {
                tell(call, Action::Delete, name, Target::Tag(tag));
            }
            let target = Target::Manifest { digest: digest.clone(), size: None, media_type: None, tag: None };
            tell(call, Action::Delete, name, target);
        }
        Reference::Invalid(text) => return Err(unknown(&text.chars().take(160).collect::<String>())),
    }
    Ok(answer::status(StatusCode::ACCEPTED).length(0).empty())
}
