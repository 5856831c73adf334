//! `attach`: a client's end of a container's standard streams.

use bytes::{Buf as _, Bytes, BytesMut};
use futures_util::{StreamExt as _, TryStreamExt as _};
use shim::protocol::{AttachRequest, STREAM_HEADER};
use tokio::io::AsyncReadExt as _;
use tokio::net::UnixStream;
use tokio::net::unix::OwnedReadHalf;

use super::logs::{LogEntry, LogsOptions};
use crate::container::task::{Request, event, shim_error};
use crate::error::{Error, Result};
use crate::{Engine, Stream, Writer};

/// Which streams are wanted.
#[derive(Debug, Clone, Default)]
pub struct AttachOptions {
    /// Stay for what comes (false = only `logs`).
    pub stream: bool,
    /// Send standard input.
    pub stdin: bool,
    /// Receive standard output.
    pub stdout: bool,
    /// Receive standard error.
    pub stderr: bool,
    /// First what was written so far.
    pub logs: bool,
    /// Keys that detach (`ctrl-p,ctrl-q`); `None` = the default.
    pub detach_keys: Option<String>,
}

/// Where bytes come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// Standard output, or a terminal.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Bytes that a container wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Where they come from.
    pub source: Source,
    /// The bytes.
    pub data: Bytes,
}

/// An attached client's end.
pub struct Attached {
    /// There is a terminal: bytes go raw, all from [`Source::Stdout`].
    pub tty: bool,
    /// Standard input, if it was asked for; shutting it down closes the client's stdin.
    pub input: Option<Writer>,
    /// What the container writes; ends with it, or when the client detached.
    pub output: Stream<Chunk>,
}

impl Engine {
    /// Attaches to a container's first process. The container may be created but not started yet.
    ///
    /// # Errors
    /// No such container; paused; bad detach keys.
    pub async fn container_attach(&self, name: &str, options: AttachOptions) -> Result<Attached> {
        let entry = self.0.containers.find(name)?;
        let container = entry.snapshot();
        if container.state.is_paused() {
            return Err(Error::conflict(format!(
                "container {} is paused, unpause the container before attach",
                container.id
            )));
        }
        if container.state.is_restarting() {
            return Err(Error::conflict(format!(
                "container {} is restarting, wait until the container is running",
                container.id
            )));
        }
        let keys = detach_keys(options.detach_keys.as_deref())?;
        let past = if options.logs { Some(self.past(name, &options).await?) } else { None };
        if !options.stream {
            let output = past.unwrap_or_else(|| futures_util::stream::empty().boxed());
            return Ok(Attached { tty: container.config.tty, input: None, output });
        }
        let shim = entry.ask(Request::Shim).await?;
        let request = AttachRequest {
            exec_id: None,
            stdin: options.stdin && container.config.open_stdin,
            stdout: options.stdout,
            stderr: options.stderr,
            detach_keys: keys,
        };
        let what = || format!("attach to container {}", container.id);
        let (_, near) = shim.attach(request).await.map_err(|error| shim_error(what(), error))?;
        self.0.events.publish(event(&container, "attach", &[]));
        Ok(connected(near, container.config.tty, options.stdin, past))
    }

    /// What was written so far.
    async fn past(&self, name: &str, options: &AttachOptions) -> Result<Stream<Chunk>> {
        let (stdout, stderr) = (options.stdout, options.stderr);
        let wanted = LogsOptions { stdout, stderr, ..LogsOptions::default() };
        let logs = self.container_logs(name, wanted).await?;
        let chunk = |entry: LogEntry| Ok(Chunk { source: entry.source, data: entry.data });
        let chunks = move |entries: Vec<LogEntry>| futures_util::stream::iter(entries.into_iter().map(chunk));
        Ok(logs.entries.map_ok(chunks).try_flatten().boxed())
    }
}

/// Keys that detach by default.
const DETACH_KEYS: &str = "ctrl-p,ctrl-q";

/// The bytes of a sequence of keys.
///
/// # Errors
/// A part of it is no key.
pub(super) fn detach_keys(text: Option<&str>) -> Result<Vec<u8>> {
    let text = text.unwrap_or(DETACH_KEYS);
    shim::detach::parse(text)
        .map_err(|error| Error::bad_parameter(format!("Invalid detach keys ({text}) provided: {error}")))
}

/// What comes over a connection to the shim of a container without a terminal.
pub(crate) fn attached(near: UnixStream) -> Stream<Chunk> {
    connected(near, false, false, None).output
}

/// A client's end over a connection to the shim.
pub(super) fn connected(near: UnixStream, tty: bool, stdin: bool, past: Option<Stream<Chunk>>) -> Attached {
    let (reader, writer) = near.into_split();
    let input: Option<Writer> = if stdin { Some(Box::new(writer)) } else { None };
    let decoder = Decoder { reader, tty, buffer: BytesMut::with_capacity(READ) };
    let live = futures_util::stream::unfold(Some(decoder), |decoder| async move {
        let mut decoder = decoder?;
        match decoder.next().await {
            Ok(Some(chunk)) => Some((Ok(chunk), Some(decoder))),
            Ok(None) => None,
            Err(error) => Some((Err(Error::because("read from the container", error)), None)),
        }
    });
    let output = match past {
        Some(past) => past.chain(live).boxed(),
        None => live.boxed(),
    };
    Attached { tty, input, output }
}

/// Bytes read at once.
const READ: usize = 32 << 10;

/// Cuts the shim's stream into chunks: raw with a terminal, else each behind Docker's 8-byte header.
struct Decoder {
    reader: OwnedReadHalf,
    tty: bool,
    buffer: BytesMut,
}

impl Decoder {
    async fn next(&mut self) -> std::io::Result<Option<Chunk>> {
        loop {
            if let Some(chunk) = self.cut() {
                return Ok(Some(chunk));
            }
            self.buffer.reserve(READ);
            match self.reader.read_buf(&mut self.buffer).await {
                Ok(0) => return Ok(None),
                Ok(_) => {}
                // the shim has closed with our input unread
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    fn cut(&mut self) -> Option<Chunk> {
        if self.tty {
            let data = self.buffer.split().freeze();
            return (!data.is_empty()).then_some(Chunk { source: Source::Stdout, data });
        }
        let header: [u8; STREAM_HEADER] = *self.buffer.first_chunk()?;
        let [kind, _, _, _, a, b, c, d] = header;
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        if self.buffer.len() < STREAM_HEADER + length {
            return None;
        }
        self.buffer.advance(STREAM_HEADER);
        let source = if kind == 2 { Source::Stderr } else { Source::Stdout };
        Some(Chunk { source, data: self.buffer.split_to(length).freeze() })
    }
}
