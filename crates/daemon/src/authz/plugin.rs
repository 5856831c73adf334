//! One plugin: HTTP over its socket, a connection for each question.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::StatusCode;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::find::Address;
use super::message::Verdict;

/// How long a plugin may take for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest answer, in bytes.
const LIMIT: usize = 1 << 20;
/// The protocol's version.
const MEDIA_TYPE: &str = "application/vnd.docker.plugins.v1.2+json";

/// A plugin.
#[derive(Debug)]
pub(crate) struct Plugin {
    name: String,
    address: Address,
}

/// The answer to `Plugin.Activate`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Activated {
    implements: Vec<String>,
}

/// What a plugin says with a status that is none of success.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Failed {
    err: String,
}

impl Plugin {
    pub(super) fn new(name: &str, address: Address) -> Self {
        Self { name: name.to_owned(), address }
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Asks whether it is one that authorises.
    pub(super) async fn activate(&self) -> Result<(), String> {
        let answer = self.ask("Plugin.Activate", Bytes::new()).await?;
        let activated: Activated =
            serde_json::from_slice(&answer).map_err(|error| format!("Plugin.Activate: {error}"))?;
        if activated.implements.iter().any(|what| what == "authz") {
            return Ok(());
        }
        Err("does not implement \"authz\"".into())
    }

    pub(super) async fn request(&self, message: &Bytes) -> Result<Verdict, String> {
        self.judge("AuthZPlugin.AuthZReq", message).await
    }

    pub(super) async fn response(&self, message: &Bytes) -> Result<Verdict, String> {
        self.judge("AuthZPlugin.AuthZRes", message).await
    }

    async fn judge(&self, method: &str, message: &Bytes) -> Result<Verdict, String> {
        let answer = self.ask(method, message.clone()).await?;
        serde_json::from_slice(&answer).map_err(|error| format!("{method}: {error}"))
    }

    async fn ask(&self, method: &str, body: Bytes) -> Result<Bytes, String> {
        let said = match tokio::time::timeout(PATIENCE, self.exchange(method, body)).await {
            Ok(said) => said,
            Err(_elapsed) => Err(format!("no answer within {PATIENCE:?}")),
        };
        said.map_err(|error| format!("{method}: {error}"))
    }

    async fn exchange(&self, method: &str, body: Bytes) -> Result<Bytes, String> {
        let unreachable = |error: std::io::Error| format!("cannot reach {}: {error}", self.address);
        match &self.address {
            Address::Unix(path) => {
                post(UnixStream::connect(path).await.map_err(unreachable)?, method, body).await
            }
            Address::Tcp(host) => {
                post(TcpStream::connect(host).await.map_err(unreachable)?, method, body).await
            }
        }
    }
}

async fn post<I>(io: I, method: &str, body: Bytes) -> Result<Bytes, String>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let text = |error: hyper::Error| error.to_string();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(io)).await.map_err(text)?;
    let driver = tokio::spawn(connection);
    let request = hyper::Request::post(format!("/{method}"))
        .header("Host", "plugin.moby.localhost")
        .header("Accept", MEDIA_TYPE)
        .header("Content-Type", MEDIA_TYPE)
        .body(Full::new(body))
        .map_err(|error| error.to_string())?;
    let response = sender.send_request(request).await.map_err(text);
    let collected = match response {
        Ok(response) => {
            let status = response.status();
            let body = Limited::new(response.into_body(), LIMIT).collect().await;
            body.map(|body| (status, body.to_bytes())).map_err(|error| error.to_string())
        }
        Err(error) => Err(error),
    };
    driver.abort();
    let (status, answer) = collected?;
    if status == StatusCode::OK {
        return Ok(answer);
    }
    let failed: Failed = serde_json::from_slice(&answer).unwrap_or_default();
    Err(if failed.err.is_empty() { String::from_utf8_lossy(&answer).trim().to_owned() } else { failed.err })
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp(host) => write!(f, "tcp://{host}"),
        }
    }
}
