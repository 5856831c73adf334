//! A client of a few lines: no program is started for a request, and it may behave badly.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::programs;
use serde_json::Value;

/// How long any answer may take.
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Clone)]
pub(crate) struct Client {
    socket: PathBuf,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Client {
    /// Of the daemon whose socket is in the folder `root`.
    pub(crate) fn new(root: &Path) -> Self {
        Self { socket: root.join("sock") }
    }

    pub(crate) fn connect(&self) -> io::Result<UnixStream> {
        let stream = UnixStream::connect(&self.socket)?;
        stream.set_read_timeout(Some(programs::patient(PATIENCE)))?;
        stream.set_write_timeout(Some(programs::patient(PATIENCE)))?;
        Ok(stream)
    }

    /// Sends a request; its answer is for whoever gets the stream.
    pub(crate) fn begin(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> io::Result<UnixStream> {
        let mut stream = self.connect()?;
        let head = format!(
            "{method} {path} HTTP/1.0\r\nHost: test\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        Ok(stream)
    }

    /// A request and its whole answer.
    pub(crate) fn call(&self, method: &str, path: &str, body: &Value) -> io::Result<Said> {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        whole(self.begin(method, path, "application/json", &body)?)
    }

    /// The same with a body that is a tar.
    pub(crate) fn send(&self, path: &str, tar: &[u8]) -> io::Result<Said> {
        whole(self.begin("POST", path, "application/x-tar", tar)?)
    }

    /// A request that must be answered with a status below 400; the JSON of the answer.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let said = self.call(method, path, body).with_context(|| format!("{method} {path}"))?;
        ensure!(said.status < 400, "{method} {path}: {} {}", said.status, said.text());
        Ok(serde_json::from_slice(&said.body).unwrap_or_default())
    }

    /// A connection that the request has taken over, with its answer's head read.
    pub(crate) fn hijack(&self, path: &str, body: &Value) -> io::Result<(u16, UnixStream)> {
        let mut stream = self.connect()?;
        let body = body.to_string();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(head.as_bytes())?;
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        Ok((status(&head).unwrap_or_default(), stream))
    }
}

impl Said {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).chars().take(500).collect()
    }
}

/// Reads an answer to its end.
pub(crate) fn whole(mut stream: UnixStream) -> io::Result<Said> {
    let mut all = Vec::new();
    stream.read_to_end(&mut all)?;
    let cut = || io::Error::new(io::ErrorKind::UnexpectedEof, "the answer's head broke off");
    let end = all.windows(4).position(|part| part == b"\r\n\r\n").ok_or_else(cut)?;
    let status = status(&all).ok_or_else(cut)?;
    Ok(Said { status, body: all.split_off(end + 4) })
}

fn status(head: &[u8]) -> Option<u16> {
    std::str::from_utf8(head.get(9..12)?).ok()?.parse().ok()
}
