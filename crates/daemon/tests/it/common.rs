//! A private berthd, and HTTP spoken to it by hand.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long anything may take before a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A daemon with roots of its own.
pub(crate) struct Daemon {
    root: tempfile::TempDir,
    child: Child,
}

/// One answer: status, head and body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The `message` of an error.
    pub(crate) fn message(&self) -> String {
        let json: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        json["message"].as_str().unwrap().to_owned()
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// The command of a daemon below `root`, listening on `root/sock`.
pub(crate) fn command(root: &Path) -> Command {
    let config = root.join("daemon.json");
    if !config.exists() {
        std::fs::write(&config, "{}").unwrap();
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_berthd"));
    command
        .arg("--data-root")
        .arg(root.join("data"))
        .arg("--exec-root")
        .arg(root.join("exec"))
        .arg("--pidfile")
        .arg(root.join("pid"))
        .arg("--config-file")
        .arg(config)
        .arg("-H")
        .arg(format!("unix://{}", root.join("sock").display()))
        .stdin(Stdio::null());
    command
}

impl Daemon {
    pub(crate) fn start() -> Self {
        Self::start_with(|_| {})
    }

    pub(crate) fn start_with(more: impl FnOnce(&mut Command)) -> Self {
        let root = tempfile::Builder::new().prefix("berthd-test-").tempdir().unwrap();
        let log = File::create(root.path().join("log")).unwrap();
        let mut command = command(root.path());
        command.args(["--debug", "--ready-fd", "1"]).stdout(Stdio::piped()).stderr(log);
        more(&mut command);
        let mut child = command.spawn().unwrap();
        let mut byte = [0];
        let ready = child.stdout.take().unwrap().read_exact(&mut byte);
        let daemon = Self { root, child };
        assert!(ready.is_ok(), "berthd is not ready:\n{}", daemon.log());
        daemon
    }

    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.root().join("sock")
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.root().join("log")).unwrap()
    }

    pub(crate) fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(self.socket()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends bytes on a connection of their own and reads the answer.
    pub(crate) fn send(&self, request: &str) -> Answer {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).unwrap();
        read_answer(&mut stream)
    }

    /// A request without a body.
    pub(crate) fn ask(&self, method: &str, path: &str) -> Answer {
        self.send(&format!("{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n"))
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end, and gives its exit code.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = std::io::stderr().write_all(self.log().as_bytes());
        }
        let _ = rustix::process::kill_process(
            rustix::process::Pid::from_child(&self.child),
            rustix::process::Signal::TERM,
        );
        let _ = self.child.wait();
    }
}

/// Reads one answer: its head, and as much body as that says.
pub(crate) fn read_answer(stream: &mut UnixStream) -> Answer {
    let head = read_head(stream);
    let status =
        head.split(' ').nth(1).and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{head:?}"));
    let header = |name: &str| {
        head.lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.to_owned())
    };
    let mut body = Vec::new();
    if let Some(length) = header("content-length") {
        body.resize(length.parse().unwrap(), 0);
        stream.read_exact(&mut body).unwrap();
    } else if header("transfer-encoding").as_deref() == Some("chunked") {
        while let Some(chunk) = read_chunk(stream) {
            body.extend(chunk);
        }
    }
    Answer { status, head, body }
}

/// Reads a head, byte by byte: what follows is not ours.
pub(crate) fn read_head(stream: &mut UnixStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            other => panic!("no complete head: {other:?} after {:?}", String::from_utf8_lossy(&head)),
        }
    }
    String::from_utf8(head).unwrap()
}

/// Reads a chunk; `None` is the last.
pub(crate) fn read_chunk(stream: &mut UnixStream) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        line.push(byte[0]);
    }
    let length = usize::from_str_radix(std::str::from_utf8(&line).unwrap().trim(), 16).unwrap();
    let mut chunk = vec![0; length + 2];
    stream.read_exact(&mut chunk).unwrap();
    chunk.truncate(length);
    (length > 0).then_some(chunk)
}
