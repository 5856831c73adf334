//! `POST /auth`

use super::{Credentials, Doing, failed};
use crate::Engine;
use crate::error::{Error, Result};

/// Docker Hub's name in logins, and the domain that its references have.
const HUB: [&str; 2] = ["index.docker.io", "registry-1.docker.io"];

impl Engine {
    /// Whether a registry lets somebody in. The answer is an identity token, if the registry gives one in the
    /// password's place.
    ///
    /// # Errors
    /// It does not, or can't be asked.
    pub async fn registry_login(&self, server: &str, credentials: Credentials) -> Result<Option<String>> {
        let domain = domain(server)?;
        let current = self.0.registries.current();
        let login = current.client.registry(&domain, credentials).login().await;
        login.map(|login| login.identity_token).map_err(refused)
    }
}

/// In Docker's words, when it is the registry that says no and not its token server.
fn refused(error: registry::client::Error) -> Error {
    let attempt = match &error {
        registry::client::Error::Refused(refusal) => {
            let status = match refusal.status {
                401 => "401 Unauthorized".to_owned(),
                403 => "403 Forbidden".to_owned(),
                other => other.to_string(),
            };
            Some(format!("login attempt to {} failed with status: {status}", refusal.url))
        }
        _ => None,
    };
    let error = failed(error, Doing::Asking);
    match attempt {
        Some(sentence) => Error::system(sentence).of_kind(error.kind()).with_source(error),
        None => error,
    }
}

/// The registry that an address of any form means.
fn domain(server: &str) -> Result<String> {
    let bare = server.strip_prefix("https://").or_else(|| server.strip_prefix("http://")).unwrap_or(server);
    let host = bare.split('/').next().unwrap_or_default();
    if host.is_empty() || HUB.contains(&host) {
        return Ok(oci::DEFAULT_DOMAIN.to_owned());
    }
    match oci::Reference::parse(&format!("{host}/x")) {
        Ok(reference) if reference.domain() == host => Ok(host.to_owned()),
        _ => Err(Error::bad_parameter(format!("unable to parse server address: {server}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_registries() {
        for (server, expected) in [
            ("https://index.docker.io/v1/", "docker.io"),
            ("", "docker.io"),
            ("docker.io", "docker.io"),
            ("localhost:5000", "localhost:5000"),
            ("http://localhost:5000/v2/", "localhost:5000"),
            ("r.example", "r.example"),
        ] {
            assert_eq!(domain(server).unwrap(), expected, "{server}");
        }
        assert!(domain("a b").is_err() && domain("word").is_err());
    }
}
