//! Images, apart from archives of them.

use api::Action;
use engine::image::{Image, ImageListOptions};
use hyper::StatusCode;
use serde::Deserialize;

use crate::convert;
use crate::error::{ApiError, Result};
use crate::request::Asked;
use crate::response::{self, Response};

/// `GET /images/json`
pub(crate) async fn list(asked: Asked) -> Result<Response> {
    let mut filters = convert::filters(&asked.filters()?);
    // Before 1.41 a name could be given beside the filters.
    if let Some(name) = asked.query.text("filter").filter(|_| !asked.since(41)) {
        filters.add("reference", name);
    }
    let options = ImageListOptions {
        all: asked.query.flag("all"),
        shared_size: asked.query.flag("shared-size"),
        filters,
    };
    let images = asked.engine().image_list(options).await?;
    let mut list: Vec<_> = images.iter().map(|image| convert::image_listed(image, asked.version)).collect();
    if asked.query.flag("manifests") && asked.since(47) {
        let ids = images.iter().map(|image| image.id.clone()).collect();
        let manifests = asked.engine().image_manifests(ids).await?;
        for ((one, image), manifests) in list.iter_mut().zip(&images).zip(manifests) {
            one.containers = convert::count(image.containers);
            (one.descriptor, one.manifests) = convert::image_manifests(manifests);
        }
    }
    Ok(response::ok(&list))
}

/// `GET /images/{name}/json`
pub(crate) async fn inspect(asked: Asked) -> Result<Response> {
    let image = of_platform(&asked, &asked.param).await?;
    let mut answer = convert::image_inspect(&image, asked.version);
    if asked.query.flag("manifests") && asked.since(48) {
        for manifests in asked.engine().image_manifests(vec![image.id.clone()]).await? {
            (answer.descriptor, answer.manifests) = convert::image_manifests(manifests);
        }
    }
    Ok(response::ok(&answer))
}

/// `GET /images/{name}/history`
pub(crate) async fn history(asked: Asked) -> Result<Response> {
    of_platform(&asked, &asked.param).await?;
    let history = asked.engine().image_history(&asked.param).await?;
    let list: Vec<_> = history.into_iter().map(convert::history).collect();
    Ok(response::ok(&list))
}

/// What others say of an image: its attestations, or the verdict of the signature policy.
pub(crate) async fn said(action: Action, asked: Asked) -> Result<Response> {
    if action == Action::ImageVerify { verify(asked).await } else { attestations(asked).await }
}

/// `GET /images/{name}/sbom`, which is not Docker's: the image's packages as SPDX.
pub(crate) async fn sbom(asked: Asked) -> Result<Response> {
    of_platform(&asked, &asked.param).await?;
    Ok(response::ok(&asked.engine().image_sbom(&asked.param).await?))
}

/// `GET /images/{name}/attestations`
async fn attestations(asked: Asked) -> Result<Response> {
    of_platform(&asked, &asked.param).await?;
    let kinds = asked.query.all("type").filter(|kind| !kind.is_empty()).map(str::to_owned).collect();
    let whole = asked.query.flag("statement");
    let statements = asked.engine().image_statements(&asked.param, kinds, whole).await?;
    let list: Vec<_> = statements.into_iter().map(convert::image_statement).collect();
    Ok(response::ok(&list))
}

/// `GET /images/{name}/verify`, which is not Docker's: what the signature policy says of an image.
async fn verify(asked: Asked) -> Result<Response> {
    let verdict = asked.engine().image_verify(&asked.param).await?;
    Ok(response::ok(&convert::image_verdict(verdict)))
}

/// `POST /images/{name}/tag`
pub(crate) async fn tag(asked: Asked) -> Result<Response> {
    let query = &asked.query;
    let (repository, tag) = (query.get("repo").unwrap_or_default(), query.get("tag").unwrap_or_default());
    asked.engine().image_tag(&asked.param, repository, tag).await?;
    Ok(response::empty(StatusCode::CREATED))
}

/// `DELETE /images/{name}`
pub(crate) async fn remove(asked: Asked) -> Result<Response> {
    let query = &asked.query;
    if query.get("platforms").is_some_and(|platforms| !platforms.is_empty()) {
        return Err(ApiError::not_implemented(
            "removing single platforms of an image (platforms) is not supported by this version of Berth",
        ));
    }
    let removed =
        asked.engine().image_remove(&asked.param, query.flag("force"), query.flag("noprune")).await?;
    let list: Vec<_> = removed.into_iter().map(convert::removed).collect();
    Ok(response::ok(&list))
}

/// An image, which must be for the platform of the `platform` parameter (JSON); each has just one.
pub(crate) async fn of_platform(asked: &Asked, name: &str) -> Result<Image> {
    let image = asked.engine().image_inspect(name).await?;
    let Some(wanted) = platform(asked)? else { return Ok(image) };
    if wanted.fits(&image.os, &image.architecture, &image.variant) {
        return Ok(image);
    }
    Err(ApiError::new(
        StatusCode::NOT_FOUND,
        format!(
            "image with reference {name} was found but does not provide the specified platform ({wanted})"
        ),
    ))
}

/// The `platform` parameter.
pub(crate) fn platform(asked: &Asked) -> Result<Option<Platform>> {
    let Some(text) = asked.query.text("platform") else { return Ok(None) };
    Platform::parse(text).map(Some).ok_or_else(|| {
        ApiError::bad_request(format!(
            "invalid platform {text:?}: must be a JSON object with os and architecture"
        ))
    })
}

/// A platform that is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Platform {
    os: String,
    architecture: String,
    variant: String,
}

impl Platform {
    fn parse(text: &str) -> Option<Self> {
        let platform: Self = serde_json::from_str(text).ok()?;
        (!platform.os.is_empty() && !platform.architecture.is_empty()).then_some(platform)
    }

    /// Whether something for this system will do; a variant counts where both have one.
    pub(crate) fn fits(&self, os: &str, architecture: &str, variant: &str) -> bool {
        let variants = self.variant.is_empty() || variant.is_empty() || self.variant == variant;
        self.os == os && self.architecture == architecture && variants
    }
}

impl std::fmt::Display for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if self.variant.is_empty() { Ok(()) } else { write!(f, "/{}", self.variant) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_are_read_and_compared() {
        let wanted = Platform::parse(r#"{"os":"linux","architecture":"arm64","variant":"v8"}"#).unwrap();
        assert!(wanted.fits("linux", "arm64", "") && wanted.fits("linux", "arm64", "v8"));
        assert!(!wanted.fits("linux", "amd64", "") && !wanted.fits("linux", "arm64", "v7"));
        assert_eq!(wanted.to_string(), "linux/arm64/v8");
        assert!(Platform::parse("linux/arm64").is_none() && Platform::parse("{}").is_none());
    }
}
