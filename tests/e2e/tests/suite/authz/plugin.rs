//! An authorisation plugin of the test's own: it remembers what it is asked, and answers by a rule.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// One question.
#[derive(Debug, Clone)]
pub(super) struct Question {
    /// `AuthZPlugin.AuthZReq` or `AuthZPlugin.AuthZRes`.
    pub(super) method: String,
    /// All that was said.
    pub(super) message: Value,
}

impl Question {
    /// A member that is text; empty when it is not there.
    pub(super) fn text(&self, name: &str) -> &str {
        self.message[name].as_str().unwrap_or_default()
    }

    /// The request's body.
    pub(super) fn body(&self) -> Vec<u8> {
        STANDARD.decode(self.text("RequestBody")).unwrap_or_default()
    }

    /// `GET /containers/json`, without the API's version and what follows `?`.
    pub(super) fn line(&self) -> String {
        let uri = self.text("RequestUri");
        let path = uri.split('?').next().unwrap_or_default();
        let path = match path.strip_prefix("/v1.").and_then(|rest| rest.split_once('/')) {
            Some((_, rest)) => format!("/{rest}"),
            None => path.to_owned(),
        };
        format!("{} {path}", self.text("RequestMethod"))
    }

    /// Whether it is asked about a request.
    pub(super) fn is_request(&self) -> bool {
        self.method == "AuthZPlugin.AuthZReq"
    }
}

/// What the plugin answers.
pub(super) enum Reply {
    /// It may be.
    Allow,
    /// It may not, and why.
    Deny(&'static str),
    /// This status and body.
    Raw(u16, &'static str),
    /// Nothing, and the connection stays open.
    Silence,
    /// Nothing, and the connection is closed.
    HangUp,
}

type Rule = Arc<dyn Fn(&Question) -> Reply + Send + Sync>;

/// A plugin at work; its socket goes with it.
pub(super) struct Plugin {
    socket: PathBuf,
    seen: Arc<Mutex<Vec<Question>>>,
}

impl Plugin {
    /// One that listens in a folder.
    pub(super) fn start(
        dir: &Path,
        name: &str,
        rule: impl Fn(&Question) -> Reply + Send + Sync + 'static,
    ) -> Result<Self> {
        std::fs::create_dir_all(dir)?;
        let socket = dir.join(format!("{name}.sock"));
        let listener = UnixListener::bind(&socket).with_context(|| socket.display().to_string())?;
        let seen: Arc<Mutex<Vec<Question>>> = Arc::default();
        let (noted, rule): (_, Rule) = (Arc::clone(&seen), Arc::new(rule));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (noted, rule) = (Arc::clone(&noted), Arc::clone(&rule));
                std::thread::spawn(move || {
                    // whoever asks may go away in the middle
                    let _ = serve(stream, &noted, &rule);
                });
            }
        });
        Ok(Self { socket, seen })
    }

    /// What it was asked so far; from now on it begins anew.
    pub(super) fn take(&self) -> Vec<Question> {
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// It is not there any more.
    pub(super) fn die(&self) -> Result<()> {
        Ok(std::fs::remove_file(&self.socket)?)
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.socket);
    }
}

fn serve(stream: UnixStream, seen: &Mutex<Vec<Question>>, rule: &Rule) -> Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    while let Some((method, body)) = receive(&mut reader)? {
        let (status, answer) = if method == "Plugin.Activate" {
            (200, r#"{"Implements":["authz"]}"#.to_owned())
        } else {
            let question = Question { method, message: serde_json::from_slice(&body)? };
            let reply = rule(&question);
            seen.lock().unwrap_or_else(PoisonError::into_inner).push(question);
            match reply {
                Reply::Allow => (200, r#"{"Allow":true}"#.to_owned()),
                Reply::Deny(why) => (200, serde_json::json!({"Allow": false, "Msg": why}).to_string()),
                Reply::Raw(status, body) => (status, body.to_owned()),
                Reply::HangUp => return Ok(()),
                Reply::Silence => {
                    // until whoever asked has given up
                    let _ = reader.read(&mut [0]);
                    return Ok(());
                }
            }
        };
        write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{answer}", answer.len())?;
    }
    Ok(())
}

fn receive(reader: &mut BufReader<UnixStream>) -> Result<Option<(String, Vec<u8>)>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let method = line.split(' ').nth(1).unwrap_or_default().trim_start_matches('/').to_owned();
    let (mut length, mut chunked) = (0, false);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
        chunked |= line == "transfer-encoding: chunked";
    }
    let mut body = Vec::new();
    while chunked {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let size = usize::from_str_radix(line.trim(), 16)?;
        let mut chunk = vec![0; size + 2];
        reader.read_exact(&mut chunk)?;
        body.extend_from_slice(&chunk[..size]);
        chunked = size > 0;
    }
    if length > 0 {
        body.resize(length, 0);
        reader.read_exact(&mut body)?;
    }
    Ok(Some((method, body)))
}
