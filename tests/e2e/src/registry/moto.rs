//! An object store that speaks S3's protocol: moto's server in a process of its own, and a way to it on which things go
//! wrong.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use rustls::ServerConfig;

use super::listener::{Ended, Listener, Request, Stream, answer, head};
use crate::programs;

/// The name of the bucket that is there from the beginning.
pub const BUCKET: &str = "images";

/// A running store, which keeps everything in memory and lets everybody in.
pub struct Moto {
    root: tempfile::TempDir,
    child: Child,
    address: SocketAddr,
}

impl Moto {
    /// Starts one with an empty bucket.
    pub fn start() -> Result<Self> {
        let root = tempfile::Builder::new().prefix("berth-moto-").tempdir()?;
        let log = std::fs::File::create(root.path().join("log"))?;
        let mut command = Command::new(programs::python()?);
        command.args(["-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().with_context(|| format!("cannot run {command:?}"))?;
        let mut moto = Self { root, child, address: SocketAddr::from(([127, 0, 0, 1], 0)) };
        moto.address = programs::eventually("moto listens", || {
            let log = moto.log();
            ensure!(moto.child.try_wait()?.is_none(), "moto ended:\n{log}");
            let told = log.split("http://").nth(1).and_then(|rest| rest.lines().next());
            Ok(told.filter(|_| log.contains("CTRL")).map(|told| told.trim().parse()).transpose()?)
        })?;
        moto.ask("PUT", &format!("/{BUCKET}"), b"")?;
        Ok(moto)
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has said: each request, too.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.root.path().join("log")).unwrap_or_default()
    }

    /// The configuration of a registry's storage in it, by way of `address`.
    pub fn storage(address: SocketAddr, prefix: &str, more: &str) -> String {
        format!(
            "[storage.s3]\nbucket = '{BUCKET}'\nprefix = '{prefix}'\nendpoint = 'http://{address}'\npath_style = true\n\
             access_key_id = 'test'\nsecret_access_key = 'hush'\n{more}\n"
        )
    }

    /// The body of the answer to a request.
    pub fn ask(&self, method: &str, target: &str, body: &[u8]) -> Result<String> {
        let mut stream = TcpStream::connect(self.address)?;
        let length = body.len();
        let text = format!(
            "{method} {target} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n",
            self.address
        );
        stream.write_all(text.as_bytes())?;
        stream.write_all(body)?;
        let mut text = Vec::new();
        stream.read_to_end(&mut text)?;
        let text = String::from_utf8_lossy(&text).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").context("no head")?;
        ensure!(
            head.split(' ').nth(1).is_some_and(|status| status.starts_with('2')),
            "{method} {target}: {text}"
        );
        Ok(body.to_owned())
    }

    /// The keys that begin with a prefix.
    pub fn keys(&self, prefix: &str) -> Result<Vec<String>> {
        let (mut keys, mut after) = (Vec::new(), String::new());
        loop {
            let target = format!("/{BUCKET}?list-type=2&prefix={prefix}&start-after={after}");
            let page = self.ask("GET", &target, b"")?;
            let found: Vec<_> =
                page.split("<Key>").skip(1).filter_map(|rest| rest.split("</Key>").next()).collect();
            keys.extend(found.iter().map(|key| (*key).to_owned()));
            match found.last() {
                Some(last) if page.contains("<IsTruncated>true") => after = last.replace('+', "%2B"),
                _ => return Ok(keys),
            }
        }
    }

    /// How many multipart uploads have neither been completed nor given up.
    pub fn multiparts(&self) -> Result<usize> {
        Ok(self.ask("GET", &format!("/{BUCKET}?uploads"), b"")?.matches("<UploadId>").count())
    }

    /// Its folder.
    pub fn root(&self) -> PathBuf {
        self.root.path().into()
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It goes through.
    Pass,
    /// The store says no, and does nothing.
    Refuse(u16, &'static str),
    /// The connection ends before the store hears of it.
    Drop,
    /// The store does what it is asked, and the connection ends before its answer.
    Mute,
    /// The answer's body ends after so many bytes, though more were announced.
    Cut(usize),
}

/// Decides on a request.
pub type Judge = Arc<dyn Fn(&Request) -> Turn + Send + Sync>;

/// A way to a store.
pub struct Way {
    listener: Listener,
    judge: Arc<Mutex<Judge>>,
}

impl Way {
    /// A way on which everything passes.
    pub fn to(store: SocketAddr) -> Result<Self> {
        Self::over(store, None)
    }

    /// The same, over TLS if there is a configuration of it.
    pub fn over(store: SocketAddr, tls: Option<Arc<ServerConfig>>) -> Result<Self> {
        let judge: Arc<Mutex<Judge>> = Arc::new(Mutex::new(Arc::new(|_: &Request| Turn::Pass)));
        let asked = Arc::clone(&judge);
        let listener = Listener::http(
            None,
            tls,
            Arc::new(Ended::default()),
            Arc::new(move |request, stream| {
                let judge = Arc::clone(&asked.lock().unwrap_or_else(PoisonError::into_inner));
                carry(store, request, stream, judge(request))
            }),
        )?;
        Ok(Self { listener, judge })
    }

    /// Where it begins.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// From now on, this becomes of requests.
    pub fn judge(&self, judge: impl Fn(&Request) -> Turn + Send + Sync + 'static) {
        *self.judge.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(judge);
    }
}

fn carry(store: SocketAddr, request: &Request, stream: &mut dyn Stream, turn: Turn) -> io::Result<bool> {
    match turn {
        Turn::Drop => return Ok(false),
        Turn::Refuse(status, code) => {
            let body = format!("<Error><Code>{code}</Code><Message>as the test wants it</Message></Error>");
            let is_head = request.method == "HEAD";
            return answer(stream, status, &[], if is_head { b"" } else { body.as_bytes() });
        }
        Turn::Pass | Turn::Mute | Turn::Cut(_) => {}
    }
    let (headers, body) = pass(store, request)?;
    if turn == Turn::Mute {
        return Ok(false);
    }
    let status = headers.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let kept: Vec<_> = headers
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(": "))
        .filter(|(name, _)| {
            !["content-length", "connection", "transfer-encoding"].contains(&&*name.to_lowercase())
        })
        .collect();
    if request.method == "HEAD" {
        let length = headers.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("content-length").then(|| value.parse().ok()).flatten()
        });
        head(stream, status, &kept, length)?;
        return Ok(true);
    }
    if status == 204 || status == 304 {
        head(stream, status, &kept, None)?;
        return Ok(true);
    }
    let cut = if let Turn::Cut(bytes) = turn { bytes.min(body.len()) } else { body.len() };
    head(stream, status, &kept, Some(body.len() as u64))?;
    stream.write_all(&body[..cut])?;
    Ok(cut == body.len())
}

/// Asks the store; the head and the body of its answer.
fn pass(store: SocketAddr, request: &Request) -> io::Result<(String, Vec<u8>)> {
    let mut server = TcpStream::connect(store)?;
    let mut text = format!("{} {} HTTP/1.0\r\n", request.method, request.target);
    for (name, value) in &request.headers {
        if !["connection", "content-length", "transfer-encoding", "expect"].contains(&name.as_str()) {
            text += &format!("{name}: {value}\r\n");
        }
    }
    text += &format!("Content-Length: {}\r\n\r\n", request.body.len());
    server.write_all(text.as_bytes())?;
    server.write_all(&request.body)?;
    let mut whole = Vec::new();
    server.read_to_end(&mut whole)?;
    let end = whole.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(whole.len());
    let head = String::from_utf8_lossy(&whole[..end]).into_owned();
    Ok((head, whole.split_off((end + 4).min(whole.len()))))
}
