//! Many requests on one connection, for tests that make ten thousand.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use crate::programs::PATIENCE;

/// A connection that stays open from request to request.
pub struct Connection {
    stream: BufReader<UnixStream>,
}

/// Status and whole body.
pub struct Reply {
    /// Status code.
    pub status: u16,
    /// Body.
    pub body: Vec<u8>,
}

impl Connection {
    /// To the daemon whose socket is in the folder `root`.
    pub fn open(root: &Path) -> Result<Self> {
        let socket = root.join("sock");
        let stream = UnixStream::connect(&socket).with_context(|| socket.display().to_string())?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// One request and its answer. What begins as an object is JSON, and else an archive.
    pub fn ask(&mut self, method: &str, path: &str, body: &[u8]) -> Result<Reply> {
        let kind = if body.starts_with(b"{") { "json" } else { "x-tar" };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: test\r\nContent-Type: application/{kind}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let whole = [head.as_bytes(), body].concat();
        self.stream.get_mut().write_all(&whole).with_context(|| format!("{method} {path}"))?;
        let first = self.line()?;
        let status = first.split(' ').nth(1).and_then(|word| word.parse().ok());
        let status = status.with_context(|| format!("{method} {path}: {first:?}"))?;
        let (mut length, mut chunked) = (0, false);
        loop {
            let line = self.line()?.to_ascii_lowercase();
            match line.split_once(": ") {
                None => break,
                Some(("content-length", value)) => length = value.parse()?,
                Some(("transfer-encoding", _)) => chunked = true,
                Some(_) => {}
            }
        }
        let body = match (method, chunked) {
            ("HEAD", _) => Vec::new(),
            (_, false) => self.bytes(length)?,
            (_, true) => self.chunks()?,
        };
        Ok(Reply { status, body })
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        ensure!(self.stream.read_line(&mut line)? > 0, "the connection was closed");
        Ok(line.trim_end().to_owned())
    }

    fn bytes(&mut self, count: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn chunks(&mut self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            let Ok(count) = usize::from_str_radix(&line, 16) else { bail!("no chunk: {line:?}") };
            body.extend(self.bytes(count)?);
            self.line()?;
            if count == 0 {
                return Ok(body);
            }
        }
    }
}
