//! The calls.

use std::os::fd::OwnedFd;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::{AsciiMetadataKey, AsciiMetadataValue, MetadataMap};
use tonic::{Code, Request, Status, Streaming};

use super::Session;
use crate::filesync::{self, Ends, Owner, Progress, Receive};
use crate::method;
use crate::proto::{BytesMessage, auth, fsutil::Packet, health, secrets, ssh};

/// Longest secret, as BuildKit has it.
const MAX_SECRET: usize = 500 << 10;
/// Bytes of one message of a stream.
const PIECE: usize = 32 << 10;
/// Messages that wait for the connection.
const QUEUE: usize = 16;

/// What is wanted of a directory of the client's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dir {
    /// What the client knows it by.
    pub name: String,
    /// Only what matches one of these; empty for everything.
    pub include: Vec<String>,
    /// Not what matches these.
    pub exclude: Vec<String>,
    /// These, and what they lead to.
    pub follow: Vec<String>,
}

/// Whose credentials are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registry {
    /// The registry's host, as in the client's configuration.
    pub host: String,
    /// The token server.
    pub realm: String,
    /// Its name for the registry.
    pub service: String,
    /// What is to be done.
    pub scopes: Vec<String>,
}

/// A token of a registry's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The token.
    pub token: String,
    /// Seconds that it holds; 0 when that was not said.
    pub expires_in: i64,
}

impl Session {
    /// Makes a directory like one of the client's.
    ///
    /// # Errors
    /// What went wrong at either end.
    pub async fn sync(
        &self,
        dir: &Dir,
        into: OwnedFd,
        progress: std::sync::Arc<Progress>,
    ) -> Result<(), Status> {
        let (ends, (come, go)) = Ends::new();
        let mut request = Request::new(filesync::stream(go));
        let metadata = request.metadata_mut();
        put(metadata, method::metadata::DIR_NAME, std::slice::from_ref(&dir.name))?;
        put(metadata, method::metadata::INCLUDE, &dir.include)?;
        put(metadata, method::metadata::EXCLUDE, &dir.exclude)?;
        put(metadata, method::metadata::FOLLOW, &dir.follow)?;
        put(metadata, method::metadata::OVERRIDE_EXCLUDES, &["true".to_owned()])?;
        let packets: Streaming<Packet> = self.channel.converse(method::FILE_SYNC, request).await?;
        let pumping = tokio::spawn(filesync::pump(packets, come));
        let received = tokio::task::spawn_blocking(move || {
            let options = Receive { merge: false, owner: Owner::Sender, progress: &progress };
            filesync::receive(into, ends, options)
        })
        .await;
        pumping.abort();
        match received {
            Ok(done) => done.map_err(|error| Status::failed_precondition(error.to_string())),
            Err(_panicked) => Err(Status::internal("file synchronisation failed; this is a bug")),
        }
    }

    /// Completes when the client serves its session, whether or not it knows of this question.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn served(&self) -> Result<(), Status> {
        let question = health::HealthCheckRequest::default();
        let answer: Result<health::HealthCheckResponse, _> =
            self.channel.ask(method::HEALTH_CHECK, question).await;
        match answer {
            Err(status) if status.code() == Code::Unavailable => Err(status),
            _ => Ok(()),
        }
    }

    /// A secret's value, `None` if the client has none of that name.
    ///
    /// # Errors
    /// The client's status; a secret that is too long.
    pub async fn secret(&self, id: &str) -> Result<Option<Vec<u8>>, Status> {
        let question = secrets::GetSecretRequest { id: id.to_owned(), ..Default::default() };
        let answer: Result<secrets::GetSecretResponse, _> =
            self.channel.ask(method::GET_SECRET, question).await;
        match answer {
            Ok(answer) if answer.data.len() > MAX_SECRET => Err(Status::invalid_argument(format!(
                "secret {id} has {} bytes: {MAX_SECRET} are allowed",
                answer.data.len()
            ))),
            Ok(answer) => Ok(Some(answer.data)),
            Err(status) if matches!(status.code(), Code::NotFound | Code::Unimplemented) => Ok(None),
            // what Go's clients say of a secret that they don't have, whatever the code
            Err(status) if status.message().ends_with("not found") => Ok(None),
            Err(status) => Err(status),
        }
    }

    /// User name and password for a registry; empty ones for nobody.
    ///
    /// # Errors
    /// The client's status.
    pub async fn credentials(&self, host: &str) -> Result<(String, String), Status> {
        let question = auth::CredentialsRequest { host: host.to_owned() };
        let answer: Result<auth::CredentialsResponse, _> =
            self.channel.ask(method::CREDENTIALS, question).await;
        match answer {
            Ok(answer) => Ok((answer.username, answer.secret)),
            Err(status) if status.code() == Code::Unimplemented => Ok(Default::default()),
            Err(status) => Err(status),
        }
    }

    /// A token that the client gets from the registry's token server, so that the password stays with it.
    ///
    /// # Errors
    /// The client's status.
    pub async fn token(&self, registry: &Registry) -> Result<Token, Status> {
        let question = auth::FetchTokenRequest {
            client_id: "berth".to_owned(),
            host: registry.host.clone(),
            realm: registry.realm.clone(),
            service: registry.service.clone(),
            scopes: registry.scopes.clone(),
        };
        let answer: auth::FetchTokenResponse = self.channel.ask(method::FETCH_TOKEN, question).await?;
        Ok(Token { token: answer.token, expires_in: answer.expires_in })
    }

    /// Whether the client has an ssh agent of that name.
    ///
    /// # Errors
    /// The client's status.
    pub async fn has_agent(&self, id: &str) -> Result<bool, Status> {
        let question = ssh::CheckAgentRequest { id: id.to_owned() };
        let answer: Result<ssh::CheckAgentResponse, _> =
            self.channel.ask(method::CHECK_AGENT, question).await;
        match answer {
            Ok(_) => Ok(true),
            Err(status) if matches!(status.code(), Code::NotFound | Code::Unimplemented) => Ok(false),
            Err(status) if status.message().contains("unset ssh forward key") => Ok(false),
            Err(status) => Err(status),
        }
    }

    /// Joins a connection with the client's ssh agent, until either closes it.
    ///
    /// # Errors
    /// The client's status; the connection broke off.
    pub async fn forward_agent<I>(&self, id: &str, io: I) -> Result<(), Status>
    where
        I: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (go, outgoing) = mpsc::channel::<ssh::BytesMessage>(QUEUE);
        let mut request = Request::new(ReceiverStream::new(outgoing));
        put(request.metadata_mut(), method::metadata::SSH_ID, &[id.to_owned()])?;
        // a client's answer may begin with its first words, which come after the step's
        let answers = self.channel.converse::<_, ssh::BytesMessage>(method::FORWARD_AGENT, request);
        let (mut reader, mut writer) = tokio::io::split(io);
        let forth = async move {
            let mut buffer = vec![0; PIECE];
            loop {
                match reader.read(&mut buffer).await {
                    Ok(0) | Err(_) => return,
                    Ok(count) => {
                        let message = ssh::BytesMessage { data: buffer[..count].to_vec() };
                        if go.send(message).await.is_err() {
                            return;
                        }
                    }
                }
            }
        };
        let back = async move {
            let mut answers = answers.await?;
            while let Some(message) = answers.message().await? {
                if writer.write_all(&message.data).await.is_err() {
                    break;
                }
            }
            Ok(())
        };
        tokio::pin!(forth, back);
        tokio::select! {
            () = &mut forth => back.await,
            done = &mut back => done,
        }
    }

    /// A stream that the client has named by a URL (`http://buildkit-session/…`), in pieces.
    ///
    /// # Errors
    /// The client's status, here or while it is read.
    pub async fn upload(&self, host: &str, path: &str) -> Result<Pieces, Status> {
        // nothing is said to it, but the stream must not end before the answer does
        let (hold, outgoing) = mpsc::channel::<BytesMessage>(1);
        let mut request = Request::new(ReceiverStream::new(outgoing));
        put(request.metadata_mut(), method::metadata::URL_PATH, &[path.to_owned()])?;
        put(request.metadata_mut(), method::metadata::URL_HOST, &[host.to_owned()])?;
        let messages = self.channel.converse(method::PULL, request).await?;
        Ok(Pieces { messages, _hold: hold })
    }

    /// Gives the client a result as one stream, such as an archive. `attributes` are the exporter's words on it.
    ///
    /// # Errors
    /// The client's status.
    pub async fn send_stream(
        &self,
        exporter: Option<&str>,
        attributes: &[(String, String)],
        mut source: impl AsyncRead + Unpin + Send,
    ) -> Result<(), Status> {
        let (go, outgoing) = mpsc::channel::<BytesMessage>(QUEUE);
        let mut request = Request::new(ReceiverStream::new(outgoing));
        told(request.metadata_mut(), exporter, attributes)?;
        let sending = async move {
            let mut buffer = vec![0; PIECE];
            loop {
                let count = source
                    .read(&mut buffer)
                    .await
                    .map_err(|error| Status::internal(format!("cannot read the result: {error}")))?;
                let piece = BytesMessage { data: buffer[..count].to_vec() };
                if count == 0 || go.send(piece).await.is_err() {
                    return Ok(());
                }
            }
        };
        // the answer, which may begin only then, says by its end that all was taken, or why not
        let taken = async {
            let mut answers: Streaming<BytesMessage> =
                self.channel.converse(method::FILE_SEND, request).await?;
            while answers.message().await?.is_some() {}
            Ok::<_, Status>(())
        };
        tokio::try_join!(sending, taken)?;
        Ok(())
    }

    /// Gives the client a result as a directory.
    ///
    /// # Errors
    /// What went wrong at either end.
    pub async fn send_dir(
        &self,
        exporter: Option<&str>,
        attributes: &[(String, String)],
        dir: OwnedFd,
    ) -> Result<(), Status> {
        let (ends, (come, go)) = Ends::new();
        let mut request = Request::new(filesync::stream(go));
        told(request.metadata_mut(), exporter, attributes)?;
        let channel = self.channel.clone();
        // the client's answer may begin only after our first words
        let pumping = tokio::spawn(async move {
            filesync::pump_answer(channel.converse(method::FILE_SEND, request), come).await;
        });
        let sent = tokio::task::spawn_blocking(move || {
            let options = filesync::Send { filter: &|_, _| filesync::Verdict::Send, reset_owner: false };
            filesync::send(dir, ends, options)
        })
        .await;
        pumping.abort();
        match sent {
            Ok(done) => done.map_err(|error| Status::failed_precondition(error.to_string())),
            Err(_panicked) => Err(Status::internal("file synchronisation failed; this is a bug")),
        }
    }
}

/// An upload that is being read.
#[derive(Debug)]
pub struct Pieces {
    messages: Streaming<BytesMessage>,
    _hold: mpsc::Sender<BytesMessage>,
}

impl Pieces {
    /// The next piece, `None` at the end.
    ///
    /// # Errors
    /// The client's status.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, Status> {
        Ok(self.messages.message().await?.map(|message| message.data))
    }
}

fn told(
    metadata: &mut MetadataMap,
    exporter: Option<&str>,
    attributes: &[(String, String)],
) -> Result<(), Status> {
    for (key, value) in attributes {
        let key = format!("{}{}", method::metadata::EXPORTER_PREFIX, key.to_ascii_lowercase());
        put(metadata, &key, std::slice::from_ref(value))?;
    }
    if let Some(exporter) = exporter {
        put(metadata, method::metadata::EXPORTER_ID, &[exporter.to_owned()])?;
    }
    Ok(())
}

/// Adds values to a call's metadata. Text that a header can't hold is escaped, and a second entry says so.
pub(crate) fn put(metadata: &mut MetadataMap, key: &str, values: &[String]) -> Result<(), Status> {
    let name = |key: &str| {
        AsciiMetadataKey::from_bytes(key.as_bytes())
            .map_err(|_malformed| Status::invalid_argument(format!("{key:?} can't be sent as metadata")))
    };
    let plain = values.iter().all(|value| value.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
    for value in values {
        let value = if plain { value.clone() } else { escape(value) };
        let value = AsciiMetadataValue::try_from(value)
            .map_err(|_malformed| Status::invalid_argument(format!("{key} can't be sent as metadata")))?;
        metadata.append(name(key)?, value);
    }
    if !plain {
        metadata.append(name(&format!("{key}-encoded"))?, AsciiMetadataValue::from_static("1"));
    }
    Ok(())
}

/// The values of a key, as [`put`] has put them.
#[must_use]
pub fn values(metadata: &MetadataMap, key: &str) -> Vec<String> {
    let encoded = metadata.get(format!("{key}-encoded")).is_some();
    let values = metadata.get_all(key).iter().filter_map(|value| value.to_str().ok());
    values.map(|value| if encoded { unescape(value) } else { value.to_owned() }).collect()
}

/// As in a URL's query.
fn escape(value: &str) -> String {
    let mut out = String::new();
    for byte in value.bytes() {
        match byte {
            b' ' => out.push('+'),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn unescape(value: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = value.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = tail.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match (first, hex.and_then(|two| u8::from_str_radix(two, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
                continue;
            }
            (b'+', _) => bytes.push(b' '),
            (byte, _) => bytes.push(*byte),
        }
        rest = tail;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_carries_any_text() {
        for text in ["plain", "a b", "ünï", "100%", "a+b"] {
            let mut metadata = MetadataMap::new();
            put(&mut metadata, "include-patterns", &[text.to_owned(), "ä".to_owned()]).unwrap();
            assert_eq!(values(&metadata, "include-patterns"), [text, "ä"]);
            let mut metadata = MetadataMap::new();
            put(&mut metadata, "k", &[text.to_owned()]).unwrap();
            assert_eq!(values(&metadata, "k"), [text]);
        }
    }
}
