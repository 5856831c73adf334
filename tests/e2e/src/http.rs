//! The Engine API asked directly, for what no client shows.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::programs::PATIENCE;

/// An answer that is still being read; HTTP/1.0, so that its body is what follows the head.
pub struct Answer {
    /// Status code.
    pub status: u16,
    body: BufReader<UnixStream>,
}

/// Sends a request without a body to the daemon whose socket is in the folder `root`.
pub fn ask(root: &Path, method: &str, path: &str) -> Result<Answer> {
    let socket = root.join("sock");
    let mut stream = UnixStream::connect(&socket).with_context(|| socket.display().to_string())?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "{method} {path} HTTP/1.0\r\nHost: test\r\nContent-Length: 0\r\n\r\n")?;
    let mut body = BufReader::new(stream);
    let mut line = String::new();
    body.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|word| word.parse().ok());
    let status = status.with_context(|| format!("{method} {path}: {line:?}"))?;
    while line.trim() != "" {
        line.clear();
        ensure!(body.read_line(&mut line)? > 0, "{method} {path}: the head broke off");
    }
    Ok(Answer { status, body })
}

/// What `GET` of `path` answers, which must be 200 and JSON.
pub fn get(root: &Path, path: &str) -> Result<Value> {
    ask(root, "GET", path)?.json().with_context(|| path.to_owned())
}

/// What `POST` to `path` answers, which must be 200 and JSON.
pub fn post(root: &Path, path: &str) -> Result<Value> {
    ask(root, "POST", path)?.json().with_context(|| path.to_owned())
}

impl Answer {
    /// The whole body.
    pub fn text(mut self) -> Result<String> {
        let mut text = String::new();
        self.body.read_to_string(&mut text)?;
        Ok(text)
    }

    /// The next line of a stream; `None` at its end.
    pub fn line(&mut self) -> Result<Option<Value>> {
        let mut line = String::new();
        if self.body.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        Ok(Some(serde_json::from_str(&line)?))
    }

    fn json(self) -> Result<Value> {
        let status = self.status;
        let text = self.text()?;
        ensure!(status == 200, "status {status}: {text}");
        Ok(serde_json::from_str(&text)?)
    }
}
