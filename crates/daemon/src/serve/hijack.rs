//! Requests that take the connection over: attach and exec start, with `Upgrade` (101) or without (200),
//! attach over a websocket, and those whose connection goes on in gRPC (`h2c`).

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use api::Action;
use bytes::{Buf as _, Bytes, BytesMut};
use engine::container::Attached;
use futures_util::FutureExt as _;
use hyper::header::{CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING, UPGRADE};
use hyper::{HeaderMap, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::head::{self, Head, Parsed};
use super::{Transport, h2c, pump, websocket};
use crate::app::App;
use crate::authz::Case;
use crate::error::{ApiError, Result};
use crate::handlers::streams::{self, Opened};
use crate::request::{Asked, MAX_JSON};
use crate::response::{MULTIPLEXED_STREAM, RAW_STREAM};
use crate::router;

/// How the bytes of an attached client are framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// As they are.
    Raw,
    /// In frames of [`api::stdcopy`].
    Multiplexed,
}

/// Serves the request whose head stands at the start of `held`, and closes the connection.
pub(super) async fn serve(app: Arc<App>, io: Box<dyn Transport>, held: BytesMut) {
    let Parsed::Complete(head) = head::parse(&held) else { return };
    let mut held = held.freeze();
    held.advance(head.length);
    let peer = io.peer();
    let mut case = app.authorization.case(peer.as_ref(), &head.method, &head.target, &head.headers);
    let Some(mut io) = h2c::serve(&app, io, &head, &held, &mut case).await else { return };
    let (counting, begun) = (Arc::clone(&app), std::time::Instant::now());
    let served = AssertUnwindSafe(open(app, &mut io, &head, held, &mut case))
        .catch_unwind()
        .await
        .unwrap_or_else(|_| {
            tracing::error!("handler of {} panicked", head.target.path());
            Err(ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal error; this is a bug in Berth"))
        });
    let status = served.as_ref().map_or_else(ApiError::status, |_| StatusCode::OK);
    counting.metrics.request(head.action(), status, begun.elapsed());
    let outcome = match served {
        Ok((Opened::Attached(attached), asked, early)) => take_over(io, &head, &asked, attached, early).await,
        Ok((Opened::Done, asked, _)) => write_whole(&mut io, StatusCode::OK, asked.since(24), &[]).await,
        Err(error) => {
            let body = serde_json::to_vec(&error.body()).unwrap_or_default();
            write_whole(&mut io, error.status(), true, &body).await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!("connection to {} ended: {error}", head.target.path());
    }
}

/// Reads the body and asks the engine. Gives what came behind the body, too.
async fn open(
    app: Arc<App>,
    io: &mut Box<dyn Transport>,
    head: &Head,
    held: Bytes,
    case: &mut Option<Case>,
) -> Result<(Opened, Asked, Bytes)> {
    let (action, asked) =
        router::find(app, &head.method, head.target.path(), head.target.query(), head.headers.clone())?;
    if action == Action::ContainerAttachWebsocket && websocket::accept(head).is_none() {
        return Err(ApiError::bad_request(
            "no websocket handshake: Upgrade and Sec-WebSocket-Key are missing",
        ));
    }
    let (body, early) = read_body(io, head, held).await?;
    if let Some(case) = case {
        case.admit_bytes(&body).await?;
    }
    let opened = streams::open(action, &asked, &body).await?;
    if let Some(case) = case {
        let upgraded = head.headers.contains_key(UPGRADE) && matches!(opened, Opened::Attached(_));
        let status = if upgraded { StatusCode::SWITCHING_PROTOCOLS } else { StatusCode::OK };
        case.release_head(status, &HeaderMap::new(), &[]).await?;
    }
    Ok((opened, asked, early))
}

async fn read_body(io: &mut Box<dyn Transport>, head: &Head, held: Bytes) -> Result<(Bytes, Bytes)> {
    let gone =
        |error: std::io::Error| ApiError::bad_request(format!("cannot read the request body: {error}"));
    if head.lists(&EXPECT, "100-continue") {
        io.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.map_err(gone)?;
    }
    let mut held = BytesMut::from(held);
    if head.lists(&TRANSFER_ENCODING, "chunked") {
        let body = read_chunked(io, &mut held).await?;
        return Ok((body, held.freeze()));
    }
    let length = content_length(head)?;
    while held.len() < length {
        if io.read_buf(&mut held).await.map_err(gone)? == 0 {
            return Err(gone(std::io::ErrorKind::UnexpectedEof.into()));
        }
    }
    Ok((held.split_to(length).freeze(), held.freeze()))
}

fn content_length(head: &Head) -> Result<usize> {
    let Some(value) = head.headers.get(CONTENT_LENGTH) else { return Ok(0) };
    let length = value.to_str().ok().and_then(|text| text.trim().parse::<usize>().ok());
    match length {
        Some(length) if length <= MAX_JSON => Ok(length),
        Some(length) => {
            Err(ApiError::bad_request(format!("request body of {length} bytes is longer than {MAX_JSON}")))
        }
        None => Err(ApiError::bad_request(format!("invalid Content-Length {value:?}"))),
    }
}

/// Reads a chunked body: hexadecimal lengths on lines of their own, the last one 0, then trailers.
async fn read_chunked(io: &mut Box<dyn Transport>, held: &mut BytesMut) -> Result<Bytes> {
    let mut body = BytesMut::new();
    loop {
        let line = read_line(io, held).await?;
        let digits = line[..].split(|byte| *byte == b';').next().unwrap_or_default();
        let length = std::str::from_utf8(digits)
            .ok()
            .and_then(|text| usize::from_str_radix(text.trim(), 16).ok())
            .ok_or_else(|| ApiError::bad_request("invalid chunk length in the request body"))?;
        if length == 0 {
            while !read_line(io, held).await?.is_empty() {}
            return Ok(body.freeze());
        }
        if length > MAX_JSON || body.len() + length > MAX_JSON {
            return Err(ApiError::bad_request(format!("request body is longer than {MAX_JSON} bytes")));
        }
        while held.len() < length + 2 {
            fill(io, held).await?;
        }
        body.extend_from_slice(&held.split_to(length));
        held.advance(2);
    }
}

/// Longest line between chunks, in bytes.
const MAX_LINE: usize = 4096;

async fn read_line(io: &mut Box<dyn Transport>, held: &mut BytesMut) -> Result<BytesMut> {
    loop {
        if let Some(end) = held.windows(2).position(|pair| pair == b"\r\n") {
            let line = held.split_to(end);
            held.advance(2);
            return Ok(line);
        }
        if held.len() > MAX_LINE {
            return Err(ApiError::bad_request("a line of the chunked request body is too long"));
        }
        fill(io, held).await?;
    }
}

async fn fill(io: &mut Box<dyn Transport>, held: &mut BytesMut) -> Result<()> {
    match io.read_buf(held).await {
        Ok(0) => Err(ApiError::bad_request("the request body ended too early")),
        Ok(_) => Ok(()),
        Err(error) => Err(ApiError::bad_request(format!("cannot read the request body: {error}"))),
    }
}

/// Answers with the head that the client expects, and moves bytes until one side is done.
async fn take_over(
    mut io: Box<dyn Transport>,
    head: &Head,
    asked: &Asked,
    attached: Attached,
    early: Bytes,
) -> std::io::Result<()> {
    if let Some(accept) = websocket::accept(head) {
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        io.write_all(answer.as_bytes()).await?;
        return websocket::run(io, early, attached).await;
    }
    let framing = if attached.tty { Framing::Raw } else { Framing::Multiplexed };
    let upgrade = head.headers.contains_key(UPGRADE);
    let content_type = if upgrade && framing == Framing::Multiplexed && asked.since(42) {
        MULTIPLEXED_STREAM
    } else {
        RAW_STREAM
    };
    let answer = if upgrade {
        format!(
            "HTTP/1.1 101 UPGRADED\r\nContent-Type: {content_type}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n{}\r\n",
            common_headers()
        )
    } else {
        format!("HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\n{}\r\n", common_headers())
    };
    io.write_all(answer.as_bytes()).await?;
    pump::run(io, early, attached, framing).await
}

pub(super) async fn write_whole(
    io: &mut Box<dyn Transport>,
    status: StatusCode,
    json: bool,
    body: &[u8],
) -> std::io::Result<()> {
    let content_type = if json && !body.is_empty() { "Content-Type: application/json\r\n" } else { "" };
    let head = format!(
        "HTTP/1.1 {} {}\r\n{content_type}{}Content-Length: {}\r\nConnection: close\r\n\r\n",
        status.as_u16(),
        status.canonical_reason().unwrap_or("Error"),
        common_headers(),
        body.len()
    );
    io.write_all(head.as_bytes()).await?;
    io.write_all(body).await?;
    io.shutdown().await
}

pub(super) fn common_headers() -> String {
    router::COMMON_HEADERS.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect()
}
