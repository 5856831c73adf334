//! Who the user is at a registry.

use std::sync::{Arc, PoisonError};

use buildkit::Status;
use buildkit::proto::auth::{CredentialsRequest, CredentialsResponse};
use tonic::{Request, Response};

use super::Lent;
use crate::login;

pub(super) async fn credentials(
    lent: Arc<Lent>,
    request: Request<CredentialsRequest>,
) -> Result<Response<CredentialsResponse>, Status> {
    let host = request.into_inner().host;
    // a credential helper is a program: it may take its time
    let found = tokio::task::spawn_blocking(move || {
        let Some(logins) = &lent.logins else { return Ok(Default::default()) };
        let logins = logins.lock().unwrap_or_else(PoisonError::into_inner);
        logins.get(server(&host))
    });
    let auth = found
        .await
        .map_err(|_panicked| Status::internal("reading the logins failed"))?
        .map_err(|error| Status::internal(error.to_string()))?;
    let (username, secret) = match auth.identitytoken.as_str() {
        "" => (auth.username, auth.password),
        // how a token is told from a password
        token => (String::new(), token.to_owned()),
    };
    Ok(Response::new(CredentialsResponse { username, secret }))
}

/// The name that a registry's login is filed under.
fn server(host: &str) -> &str {
    if host == "registry-1.docker.io" { login::DOCKER_HUB } else { login::server_of(host) }
}
