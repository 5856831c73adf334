//! Registries: pull, push, search, and who the user is there.

use api::Action;
use api::auth::{AuthConfig, AuthResponse};
use engine::image::{PullOptions, PushOptions, SearchOptions};
use engine::registry::Credentials;

use super::absent;
use super::image::platform;
use super::image_archive::messages;
use crate::convert;
use crate::error::{ApiError, Result};
use crate::request::{Asked, RequestBody};
use crate::response::{self, Response};

/// Who the client is at the registry that the request is about. As in Docker, a header that can't be read is none.
fn credentials(asked: &Asked) -> Credentials {
    let Some(header) = asked.headers.get("x-registry-auth") else { return Credentials::default() };
    let auth = header.to_str().map_err(|error| error.to_string()).and_then(AuthConfig::from_header);
    match auth {
        Ok(auth) => convert::credentials(&auth),
        Err(error) => {
            tracing::warn!("{error}: going on without credentials");
            Credentials::default()
        }
    }
}

/// What is asked of registries; and what nobody answers.
pub(crate) async fn answer(action: Action, asked: Asked, body: RequestBody) -> Result<Response> {
    match action {
        Action::ImagePush => push(asked, body).await,
        Action::ImageSearch => search(asked).await,
        Action::DistributionInspect => distribution(asked).await,
        Action::SystemAuth => auth(asked, body).await,
        other => Err(absent::answer(other)),
    }
}

/// `POST /images/create` with `fromImage`
pub(crate) async fn pull(asked: &Asked, image: &str) -> Result<Response> {
    let query = &asked.query;
    let options = PullOptions {
        image: image.trim().to_owned(),
        tag: query.get("tag").unwrap_or_default().to_owned(),
        platform: query.get("platform").unwrap_or_default().to_owned(),
        credentials: credentials(asked),
    };
    messages(asked.engine().image_pull(options).await?, asked.version).await
}

/// `POST /images/{name}/push`
async fn push(asked: Asked, body: RequestBody) -> Result<Response> {
    let credentials = if asked.headers.contains_key("x-registry-auth") {
        credentials(&asked)
    } else {
        // Docker's first clients sent them as the body.
        let auth: AuthConfig = serde_json::from_slice(&body.collect().await?).map_err(|error| {
            ApiError::bad_request(format!("Bad parameters and missing X-Registry-Auth: {error}"))
        })?;
        convert::credentials(&auth)
    };
    let options = PushOptions {
        image: asked.param.clone(),
        tag: asked.query.get("tag").unwrap_or_default().to_owned(),
        platform: platform(&asked)?.map(|platform| platform.to_string()).unwrap_or_default(),
        by_digest: None,
        credentials,
    };
    messages(asked.engine().image_push(options).await?, asked.version).await
}

/// `GET /images/search`
async fn search(asked: Asked) -> Result<Response> {
    let limit = asked.int("limit")?;
    let options = SearchOptions {
        term: asked.query.get("term").unwrap_or_default().to_owned(),
        limit,
        filters: convert::filters(&asked.filters()?),
        credentials: credentials(&asked),
    };
    let found = asked.engine().image_search(options).await?;
    let list: Vec<_> = found.into_iter().map(convert::found).collect();
    Ok(response::ok(&list))
}

/// `GET /distribution/{name}/json`
async fn distribution(asked: Asked) -> Result<Response> {
    let found = asked.engine().image_distribution(&asked.param, credentials(&asked)).await?;
    Ok(response::ok(&convert::distribution(found)))
}

/// `POST /auth`
async fn auth(asked: Asked, body: RequestBody) -> Result<Response> {
    let auth: AuthConfig = asked.json(&body.collect().await?, false)?;
    let token = asked.engine().registry_login(&auth.serveraddress, convert::credentials(&auth)).await?;
    Ok(response::ok(&AuthResponse {
        identity_token: token.unwrap_or_default(),
        status: "Login Succeeded".to_owned(),
    }))
}
