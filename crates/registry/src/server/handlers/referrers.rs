//! What refers to a manifest: `GET /v2/NAME/referrers/DIGEST` (end-12).

use hyper::StatusCode;
use hyper::header;
use oci::{Digest, media_type};
use serde_json::json;

use super::page;
use crate::server::error::Result;
use crate::server::http::answer::{self, Answer, FILTERS_APPLIED};
use crate::server::http::call::Call;
use crate::server::name::Name;
use crate::server::repository::Repository;

/// An index of all manifests whose subject it is. That nobody refers to it, or that there is no such manifest, is an
/// empty list.
pub(crate) async fn list(call: &Call, name: &Name, digest: &Digest) -> Result<Answer> {
    let wanted = call.query("artifactType").filter(|text| !text.is_empty());
    let after = call.query("last");
    let repository = Repository::new(&call.registry, name);
    if let Some(upstream) = &call.registry.upstream {
        upstream.refresh_referrers(&repository, digest).await?;
    }
    let page = repository.referrers(digest, after.as_deref(), wanted.as_deref()).await?;
    let mut builder = answer::status(StatusCode::OK).header(header::CONTENT_TYPE, media_type::OCI_INDEX);
    if wanted.is_some() {
        builder = builder.header(FILTERS_APPLIED, "artifactType");
    }
    if let Some(next) = &page.next {
        let mut pairs = vec![("last", next.as_str())];
        pairs.extend(wanted.as_deref().map(|wanted| ("artifactType", wanted)));
        builder = page::link(builder, &format!("/v2/{name}/referrers/{digest}"), &pairs);
    }
    let index =
        json!({ "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": page.manifests });
    Ok(builder.bytes(index.to_string().into()))
}
