//! One HTTP request over a unix socket, by hand: what a server really sends is seen, headers and all.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::engine::ENOUGH;

/// What the server answered.
#[derive(Debug)]
pub(super) struct Answer {
    /// The status.
    pub(super) status: u16,
    /// Header fields, names in lower case, in the order of the wire.
    pub(super) headers: Vec<(String, String)>,
    /// The body without its chunks; after an upgrade, all that came until the end.
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// The value of a header field.
    #[must_use]
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Asks `method path` of the server behind `socket`. A body that is not empty is sent with its length.
pub(super) fn ask(
    socket: &Path,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Answer> {
    let mut stream =
        UnixStream::connect(socket).with_context(|| format!("cannot connect to {}", socket.display()))?;
    stream.set_read_timeout(Some(ENOUGH))?;
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: docker\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("connection")) {
        head += "Connection: close\r\n";
    }
    if !body.is_empty() || matches!(method, "POST" | "PUT") {
        head += &format!("Content-Length: {}\r\n", body.len());
    }
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    // A server that refuses by the head alone answers without reading on.
    let _ = stream.write_all(body);
    read(BufReader::new(stream), method).with_context(|| format!("{method} {path}"))
}

fn read(mut stream: impl BufRead, method: &str) -> Result<Answer> {
    let status = line(&mut stream)?;
    let status = status.split(' ').nth(1).and_then(|code| code.parse().ok());
    let mut answer =
        Answer { status: status.context("no status line")?, headers: Vec::new(), body: Vec::new() };
    loop {
        let field = line(&mut stream)?;
        let Some((name, value)) = field.split_once(':') else { break };
        answer.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    if method == "HEAD" || matches!(answer.status, 204 | 304) {
        return Ok(answer);
    }
    let length = answer.header("content-length").and_then(|length| length.parse::<u64>().ok());
    if answer.header("transfer-encoding") == Some("chunked") {
        answer.body = chunks(&mut stream)?;
    } else if let (Some(length), true) = (length, answer.status != 101) {
        stream.take(length).read_to_end(&mut answer.body)?;
    } else {
        stream.read_to_end(&mut answer.body)?;
    }
    Ok(answer)
}

fn line(stream: &mut impl BufRead) -> Result<String> {
    let mut text = String::new();
    if stream.read_line(&mut text)? == 0 {
        bail!("the server closed the connection");
    }
    Ok(text.trim_end().to_owned())
}

fn chunks(stream: &mut impl BufRead) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let size = line(stream)?;
        let size = u64::from_str_radix(&size, 16).with_context(|| format!("chunk size {size:?}"))?;
        stream.take(size).read_to_end(&mut body)?;
        line(stream)?;
        if size == 0 {
            return Ok(body);
        }
    }
}
