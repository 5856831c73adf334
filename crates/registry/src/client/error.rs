//! What goes wrong when a registry is asked, and whether asking again may help.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use oci::Digest;
use oci::manifest::ManifestError;

use super::limits::{MAX_ERROR_TEXT, MAX_ERRORS};
use super::url::UrlError;

/// A result of this crate's client.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a registry could not be asked, or why its answer is not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The request did not get there, or its answer did not get here.
    #[error("{}", .0)]
    Network(Box<NetworkError>),
    /// The registry has answered, and the answer is no.
    #[error("{}", .0)]
    Refused(Box<Refusal>),
    /// Content is not what it was said to be. Nothing of it was returned.
    #[error("{what}: the registry sent content with digest {found} in place of {expected}")]
    Digest {
        /// Which content.
        what: String,
        /// What it should be.
        expected: Digest,
        /// What it is.
        found: Digest,
    },
    /// Content is longer or shorter than it was said to be.
    #[error("{what}: the registry sent {found} bytes in place of {expected}")]
    Size {
        /// Which content.
        what: String,
        /// What was announced, in bytes.
        expected: u64,
        /// What came, in bytes (no more was read).
        found: u64,
    },
    /// More than the named limit.
    #[error("{what} is larger than the limit of {limit} bytes")]
    TooLarge {
        /// What was sent.
        what: String,
        /// The limit, in bytes.
        limit: u64,
    },
    /// The answer breaks the protocol.
    #[error("{url}: {reason}")]
    Protocol {
        /// What was asked.
        url: String,
        /// What is wrong with the answer.
        reason: String,
    },
    /// The bytes are no manifest that can be used.
    #[error("{what}: {source}")]
    Manifest {
        /// Which manifest.
        what: String,
        /// What is wrong with it.
        source: ManifestError,
    },
    /// No token could be had.
    #[error("cannot authenticate at {realm}: {source}")]
    Token {
        /// The token server.
        realm: String,
        /// Why not.
        source: Box<Error>,
    },
    /// What the user has configured cannot be used.
    #[error("{what}: {reason}")]
    Config {
        /// The file or option.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The place that a blob is written to has failed.
    #[error("cannot keep what was downloaded: {0}")]
    Sink(#[source] io::Error),
    /// The place that a blob is read from has failed.
    #[error("cannot read what is to be uploaded: {0}")]
    Source(#[source] io::Error),
}

/// Which request failed on its way.
#[derive(Debug)]
pub struct NetworkError {
    /// `Get`, `Put`, …: as Go and thus Docker writes it.
    pub method: String,
    /// The URL, without its query.
    pub url: String,
    /// What happened.
    pub cause: Cause,
}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} \"{}\": {}", self.method, self.url, self.cause)
    }
}

/// What happened to a request on its way. The texts are close to Go's, which users of Docker search for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// The name is not known.
    #[error("dial tcp: lookup {host}: {reason}")]
    Lookup {
        /// The name.
        host: String,
        /// Why not.
        reason: String,
    },
    /// No connection.
    #[error("dial tcp {address}: connect: {}", plain(error))]
    Connect {
        /// The last address that was tried.
        address: SocketAddr,
        /// Why not.
        error: io::Error,
    },
    /// No connection in time.
    #[error("dial tcp {0}: i/o timeout")]
    ConnectTimeout(String),
    /// TLS failed: a certificate that is not trusted, no common version, …
    #[error("tls: {0}")]
    Tls(String),
    /// The other side does not speak TLS.
    #[error("http: server gave HTTP response to HTTPS client")]
    NotTls,
    /// TLS takes too long.
    #[error("net/http: TLS handshake timeout")]
    TlsTimeout,
    /// The proxy does not let us through.
    #[error("proxy {proxy}: {reason}")]
    Proxy {
        /// The proxy.
        proxy: String,
        /// What it said.
        reason: String,
    },
    /// The connection broke, or what came is no HTTP.
    #[error("{0}")]
    Broken(String),
    /// The answer does not begin.
    #[error("net/http: timeout awaiting response headers")]
    HeadTimeout,
    /// Too few bytes for too long.
    #[error("no progress: {bytes} bytes in {} s", time.as_secs())]
    Stalled {
        /// What came or went.
        bytes: u64,
        /// In this time.
        time: Duration,
    },
}

/// An answer that says no.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// `Get`, `Put`, …
    pub method: String,
    /// The URL, without its query.
    pub url: String,
    /// The HTTP status.
    pub status: u16,
    /// What the registry says, in its own codes; may be empty.
    pub errors: Vec<RemoteError>,
    /// How long the registry wants us to wait.
    pub retry_after: Option<Duration>,
}

/// One error of a registry's answer, cleaned of control characters and cut to a length that can be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteError {
    /// `MANIFEST_UNKNOWN`, `DENIED`, …; may be empty.
    pub code: String,
    /// The text; may be empty.
    pub message: String,
}

/// `name unknown: repository name not known to registry`, as Docker shows the errors of a registry.
impl fmt::Display for RemoteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.code.to_ascii_lowercase().replace('_', " ");
        match (code.as_str(), self.message.as_str()) {
            (code, "") => f.write_str(code),
            ("", message) => f.write_str(message),
            (code, message) => write!(f, "{code}: {message}"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.errors.is_empty() {
            let status = hyper::StatusCode::from_u16(self.status).ok();
            let reason = status.and_then(|status| status.canonical_reason()).unwrap_or("unknown status");
            return write!(
                f,
                "unexpected status from {} request to {}: {} {reason}",
                self.method.to_ascii_uppercase(),
                self.url,
                self.status
            );
        }
        for (at, error) in self.errors.iter().enumerate() {
            write!(f, "{}{error}", if at == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl Error {
    pub(crate) fn protocol(url: impl fmt::Display, reason: impl Into<String>) -> Self {
        Self::Protocol { url: url.to_string(), reason: reason.into() }
    }

    pub(crate) fn config(what: impl fmt::Display, reason: impl fmt::Display) -> Self {
        Self::Config { what: what.to_string(), reason: reason.to_string() }
    }

    pub(crate) fn url(what: impl fmt::Display, text: &str, error: UrlError) -> Self {
        Self::protocol(what, format!("{:?} {error}", clean(text)))
    }

    /// The answer that said no, when it was one.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::Token { source, .. } => source.refusal(),
            _ => None,
        }
    }

    /// The HTTP status of the answer that said no.
    pub fn status(&self) -> Option<u16> {
        self.refusal().map(|refusal| refusal.status)
    }

    /// Has the registry answered with this code (`MANIFEST_UNKNOWN`, `DENIED`, …)?
    pub fn has_code(&self, code: &str) -> bool {
        self.refusal().is_some_and(|refusal| refusal.errors.iter().any(|error| error.code == code))
    }

    /// There is no such thing in the registry.
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(404)
    }

    /// The registry wants other credentials, or any (401, 403).
    pub fn is_denied(&self) -> bool {
        matches!(self.status(), Some(401 | 403))
    }

    /// The request did not reach anyone who speaks HTTP there.
    pub fn is_unreachable(&self) -> bool {
        matches!(
            self,
            Self::Network(error) if matches!(
                error.cause,
                Cause::Lookup { .. } | Cause::Connect { .. } | Cause::ConnectTimeout(_) | Cause::Tls(_)
                    | Cause::NotTls | Cause::TlsTimeout | Cause::Proxy { .. }
            )
        )
    }

    /// May the same request succeed in a moment? A name that does not exist or a certificate that is not trusted will
    /// not; a connection that broke, a server that is too busy, may.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Network(error) => matches!(
                error.cause,
                Cause::ConnectTimeout(_)
                    | Cause::TlsTimeout
                    | Cause::Broken(_)
                    | Cause::HeadTimeout
                    | Cause::Stalled { .. }
            ),
            Self::Refused(refusal) => matches!(refusal.status, 408 | 425 | 429 | 500 | 502 | 503 | 504),
            Self::Token { source, .. } => source.is_transient(),
            _ => false,
        }
    }

    /// Was there nobody at the port? In the middle of a transfer, the registry may be starting again.
    pub(crate) fn is_refused_connection(&self) -> bool {
        matches!(self, Self::Network(error) if matches!(error.cause, Cause::Connect { .. }))
    }

    pub(crate) fn retry_after(&self) -> Option<Duration> {
        self.refusal().and_then(|refusal| refusal.retry_after)
    }
}

/// The operating system's words without Rust's number, which Go's do not have.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut characters = text.chars();
    characters.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(characters).collect()
}

/// A text of somebody else's as it may be shown: no control characters, not too long.
pub(crate) fn clean(text: &str) -> String {
    let mut out: String = text
        .chars()
        .map(|c| if c.is_control() || is_format(c) { ' ' } else { c })
        .take(MAX_ERROR_TEXT)
        .collect();
    if text.chars().nth(MAX_ERROR_TEXT).is_some() {
        out.push('…');
    }
    out.truncate(out.trim_end().len());
    out
}

/// Characters that turn the direction of what follows them.
fn is_format(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Reads the body of an error: `{"errors":[{"code":…,"message":…}]}`, Docker Hub's `{"details":…}`, or a line of text.
pub(crate) fn remote_errors(body: &[u8]) -> Vec<RemoteError> {
    #[derive(serde::Deserialize)]
    struct Body {
        #[serde(default)]
        errors: Vec<Entry>,
        #[serde(default)]
        details: Option<String>,
        #[serde(default)]
        error_description: Option<String>,
        #[serde(default)]
        error: Option<String>,
        #[serde(default)]
        message: Option<String>,
    }
    #[derive(serde::Deserialize)]
    struct Entry {
        #[serde(default)]
        code: serde_json::Value,
        #[serde(default)]
        message: Option<String>,
    }
    let Ok(body) = serde_json::from_slice::<Body>(body) else { return Vec::new() };
    let listed = body.errors.into_iter().take(MAX_ERRORS).map(|entry| RemoteError {
        code: match &entry.code {
            serde_json::Value::String(code) => clean(code),
            serde_json::Value::Number(code) => code.to_string(),
            _ => String::new(),
        },
        message: clean(entry.message.as_deref().unwrap_or_default()),
    });
    let mut errors: Vec<RemoteError> =
        listed.filter(|error| !error.code.is_empty() || !error.message.is_empty()).collect();
    if errors.is_empty() {
        let text = body.details.or(body.error_description).or(body.message).or(body.error);
        errors.extend(text.map(|text| RemoteError { code: String::new(), message: clean(&text) }));
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_registries_are_read_and_cleaned() {
        let errors = remote_errors(
            br#"{"errors":[{"code":"NAME_UNKNOWN","message":"repository name not known to registry","detail":{}}]}"#,
        );
        assert_eq!(errors[0].to_string(), "name unknown: repository name not known to registry");
        let errors = remote_errors(b"{\"details\":\"bad \\u001b[31m\\u202epassword\\n\"}");
        assert_eq!(errors[0].to_string(), "bad  [31m password");
        assert!(remote_errors(b"<html>").is_empty());
        assert!(remote_errors(b"{\"errors\":[]}").is_empty());
        let long = format!("{{\"message\":\"{}\"}}", "x".repeat(5000));
        assert_eq!(remote_errors(long.as_bytes())[0].message.chars().count(), MAX_ERROR_TEXT + 1);
    }

    #[test]
    fn refused_connections_read_as_gos() {
        let cause = Cause::Connect {
            address: ([127, 0, 0, 1], 5000).into(),
            error: io::Error::from_raw_os_error(111),
        };
        let error = NetworkError { method: "Get".into(), url: "http://127.0.0.1:5000/v2/".into(), cause };
        assert_eq!(
            error.to_string(),
            "Get \"http://127.0.0.1:5000/v2/\": dial tcp 127.0.0.1:5000: connect: connection refused"
        );
        let error = Error::Network(Box::new(error));
        assert!(error.is_unreachable() && !error.is_transient());
    }
}
