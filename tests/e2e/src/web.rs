//! A web server on loopback whose files a test changes, with git repositories behind `git http-backend`, and what it
//! was asked.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use anyhow::{Context as _, Result};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::programs;

/// What is at a path.
#[derive(Clone, Debug)]
pub enum Page {
    /// A file, with its `ETag` and `Last-Modified` if they are not empty.
    File(Vec<u8>, String, String),
    /// Another place.
    Redirect(String),
    /// A head that promises more than comes.
    Broken,
    /// The first time like that, and then a file.
    Lost(String),
}

/// What was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Path and query.
    pub target: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    /// What was answered.
    pub status: u16,
}

#[derive(Default)]
struct State {
    pages: BTreeMap<String, Page>,
    asked: Vec<Asked>,
    /// Whoever asks for a repository must send this.
    authorization: Option<String>,
}

/// The server; it ends with this.
pub struct Web {
    scheme: &'static str,
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Web {
    /// Starts it. Repositories lie below `git`, at `/git/`.
    pub fn start(git: &Path) -> Result<Self> {
        Self::over(git, None)
    }

    /// The same over TLS.
    pub fn start_tls(git: &Path, tls: Arc<ServerConfig>) -> Result<Self> {
        Self::over(git, Some(tls))
    }

    fn over(git: &Path, tls: Option<Arc<ServerConfig>>) -> Result<Self> {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let (state, ends) = (Arc::<Mutex<State>>::default(), Arc::<AtomicBool>::default());
        let (shared, end, git) = (Arc::clone(&state), Arc::clone(&ends), git.to_owned());
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                let (state, git, tls) = (Arc::clone(&shared), git.clone(), tls.clone());
                // a client that hangs up is its own business
                std::thread::spawn(move || stream.map(|stream| meet(stream, tls, &state, &git)));
            }
        });
        Ok(Self { scheme, address, state, ends, thread: Some(thread) })
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The URL of a path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// Puts something at a path.
    pub fn put(&self, path: &str, page: Page) {
        self.state().pages.insert(path.to_owned(), page);
    }

    /// Repositories are for those who send this.
    pub fn protect(&self, authorization: &str) {
        self.state().authorization = Some(authorization.to_owned());
    }

    /// What was asked since the last time.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.state().asked)
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        let woken = TcpStream::connect(self.address).is_ok();
        if let Some(thread) = self.thread.take().filter(|_| woken) {
            let _ = thread.join();
        }
    }
}

fn meet(stream: TcpStream, tls: Option<Arc<ServerConfig>>, state: &Mutex<State>, git: &Path) -> Result<()> {
    let Some(tls) = tls else {
        serve(&stream, state, git)?;
        return Ok(stream.shutdown(Shutdown::Write)?);
    };
    let mut stream = StreamOwned::new(ServerConnection::new(tls)?, stream);
    serve(&mut stream, state, git)?;
    // without it a client takes the end of an answer for an accident
    stream.conn.send_close_notify();
    Ok(stream.flush()?)
}

fn serve(stream: impl Read + Write, state: &Mutex<State>, git: &Path) -> Result<()> {
    let mut input = BufReader::new(stream);
    let mut first = String::new();
    input.read_line(&mut first)?;
    let mut words = first.split_whitespace();
    let (method, target) = (words.next().context("no method")?, words.next().context("no target")?);
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        if input.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').context("no header")?;
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    input.read_exact(&mut body)?;
    let (status, answer) = answer((method, target), &headers, &body, state, git)?;
    let asked = Asked { target: target.to_owned(), headers, status };
    state.lock().unwrap_or_else(PoisonError::into_inner).asked.push(asked);
    input.get_mut().write_all(&answer)?;
    Ok(input.get_mut().flush()?)
}

fn answer(
    (method, target): (&str, &str),
    headers: &BTreeMap<String, String>,
    body: &[u8],
    state: &Mutex<State>,
    git: &Path,
) -> Result<(u16, Vec<u8>)> {
    let (page, wanted) = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let page = state.pages.get(target).cloned();
        if let Some(Page::Lost(text)) = &page {
            let whole = Page::File(text.clone().into(), String::new(), String::new());
            state.pages.insert(target.to_owned(), whole);
        }
        (page, state.authorization.clone())
    };
    if target.starts_with("/git/") && page.is_none() {
        if wanted.is_some() && headers.get("authorization") != wanted.as_ref() {
            let head = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"git\"\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
            return Ok((401, head.into()));
        }
        return backend((method, target), headers, body, git);
    }
    Ok(match page {
        None => {
            (404, b"HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 4\r\n\r\nnone".to_vec())
        }
        Some(Page::Redirect(to)) => (
            302,
            format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
                .into(),
        ),
        Some(Page::Broken | Page::Lost(_)) => (
            200,
            b"HTTP/1.1 200 OK\r\nETag: \"broken\"\r\nConnection: close\r\nContent-Length: 1000\r\n\r\nhalf"
                .to_vec(),
        ),
        Some(Page::File(bytes, etag, modified)) => {
            let known = |name: &str, value: &str| {
                !value.is_empty() && headers.get(name).is_some_and(|told| told == value)
            };
            let same = if headers.contains_key("if-none-match") {
                known("if-none-match", &etag)
            } else {
                known("if-modified-since", &modified)
            };
            let status = if same { "304 Not Modified" } else { "200 OK" };
            let mut head = format!("HTTP/1.1 {status}\r\nConnection: close\r\n");
            for (name, value) in [("ETag", &etag), ("Last-Modified", &modified)] {
                if !value.is_empty() {
                    head.push_str(&format!("{name}: {value}\r\n"));
                }
            }
            if same {
                (304, format!("{head}\r\n").into())
            } else {
                let head = format!("{head}Content-Length: {}\r\n\r\n", bytes.len());
                (200, [head.as_bytes(), &bytes].concat())
            }
        }
    })
}

/// CGI, as `git http-backend` speaks it.
fn backend(
    (method, target): (&str, &str),
    headers: &BTreeMap<String, String>,
    body: &[u8],
    git: &Path,
) -> Result<(u16, Vec<u8>)> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let header = |name: &str| headers.get(name).cloned().unwrap_or_default();
    let mut child = Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", git)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", path.trim_start_matches("/git"))
        .env("QUERY_STRING", query)
        .env("REQUEST_METHOD", method)
        .env("CONTENT_TYPE", header("content-type"))
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    child.stdin.take().context("no input")?.write_all(body)?;
    let output = child.wait_with_output()?.stdout;
    let status = output.strip_prefix(b"Status: ").map_or("200 OK".to_owned(), |rest| {
        String::from_utf8_lossy(rest).lines().next().unwrap_or_default().to_owned()
    });
    let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\n");
    Ok((status[..3].parse()?, [head.as_bytes(), &output].concat()))
}

/// A repository of git's that a test commits to, and a bare one that is served.
pub struct Repository {
    work: PathBuf,
    bare: PathBuf,
}

impl Repository {
    /// Makes one, `NAME.git` below `git`.
    pub fn new(git: &Path, name: &str) -> Result<Self> {
        let (work, bare) = (git.join(format!("work-{name}")), git.join(format!("{name}.git")));
        std::fs::create_dir_all(&work)?;
        let made = Self { work, bare };
        made.git(&["init", "--quiet", "--initial-branch=main"])?;
        let bare = made.bare.display().to_string();
        made.git(&["init", "--quiet", "--bare", "--initial-branch=main", &bare])?;
        made.git(&["remote", "add", "origin", &bare])?;
        Ok(made)
    }

    /// Where its files are written.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.work
    }

    /// Runs git in it.
    pub fn git(&self, args: &[&str]) -> Result<String> {
        let mut command = Command::new("git");
        command.current_dir(&self.work).args(["-c", "protocol.file.allow=always"]).args(args);
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), "test").env(format!("GIT_{who}_EMAIL"), "test@example");
        }
        programs::run(command.env("GIT_CONFIG_GLOBAL", "/dev/null"))?.ok()
    }

    /// Commits everything and serves it; the commit's digits.
    pub fn commit(&self, files: &[(&str, &str)]) -> Result<String> {
        for (name, text) in files {
            let file = self.work.join(name);
            std::fs::create_dir_all(file.parent().unwrap_or(&self.work))?;
            std::fs::write(file, text)?;
        }
        self.git(&["add", "--all"])?;
        self.git(&["commit", "--quiet", "--message", "a commit"])?;
        self.git(&["push", "--quiet", "--force", "origin", "HEAD"])?;
        self.git(&["rev-parse", "HEAD"])
    }
}
