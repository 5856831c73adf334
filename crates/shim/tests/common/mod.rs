//! A blocking client of the real program, and a container to run with it.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs,
    reason = "a failing helper is a failing test"
)]

use std::collections::VecDeque;
use std::fs;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use oci_spec::runtime::{Process, Spec};
use serde_json::json;
use shim::protocol::*;

/// No answer takes longer, even with 8 builds beside us.
const PATIENCE: Duration = Duration::from_secs(30);

static COUNTER: AtomicU32 = AtomicU32::new(0);

/// One connection to a shim.
pub struct Connection {
    socket: UnixStream,
    reader: FrameReader,
    next: u64,
    pub events: VecDeque<Event>,
}

impl Connection {
    pub fn over(socket: UnixStream) -> Self {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, reader: FrameReader::default(), next: 1, events: VecDeque::new() }
    }

    pub fn post(&mut self, request: Request, fds: &[BorrowedFd<'_>]) -> u64 {
        let id = self.next;
        self.next += 1;
        let bytes = encode(&ClientFrame { id, fds: fds.len(), request }).unwrap();
        send(&self.socket, &bytes, fds).unwrap();
        id
    }

    pub fn receive(&mut self) -> Option<ServerFrame> {
        loop {
            if let Some(frame) = self.reader.next_value().unwrap() {
                return Some(frame);
            }
            if !self.reader.fill(&self.socket, true).unwrap() {
                return None;
            }
        }
    }

    pub fn answer(&mut self, id: u64) -> Result<Reply, ErrorReply> {
        loop {
            let frame = self.receive().expect("the shim has closed the connection");
            self.events.extend(frame.event);
            if frame.id == Some(id) {
                return frame.reply.ok_or_else(|| frame.error.unwrap());
            }
        }
    }

    pub fn call(&mut self, request: Request, fds: &[BorrowedFd<'_>]) -> Result<Reply, ErrorReply> {
        let id = self.post(request, fds);
        self.answer(id)
    }

    pub fn hello(&mut self) -> HelloReply {
        match self.call(Request::Hello { version: VERSION }, &[]).unwrap() {
            Reply::Hello(hello) => *hello,
            other => panic!("{other:?}"),
        }
    }

    pub fn state(&mut self) -> StateReply {
        match self.call(Request::State, &[]).unwrap() {
            Reply::State(state) => *state,
            other => panic!("{other:?}"),
        }
    }

    pub fn event(&mut self) -> Event {
        loop {
            if let Some(event) = self.events.pop_front() {
                return event;
            }
            let frame = self.receive().expect("the shim has closed the connection");
            self.events.extend(frame.event);
        }
    }

    pub fn exited(&mut self) -> ExitRecord {
        loop {
            if let Event::Exited(record) = self.event() {
                return record;
            }
        }
    }

    pub fn exec_exited(&mut self, id: &str) -> i32 {
        loop {
            match self.event() {
                Event::ExecExited { exec_id, code } if exec_id == id => return code,
                _ => {}
            }
        }
    }

    /// Attach; our end.
    pub fn attach(&mut self, request: AttachRequest) -> UnixStream {
        let (near, far) = pair();
        self.call(Request::Attach(request), &[far.as_fd()]).unwrap();
        near
    }
}

pub fn pair() -> (UnixStream, OwnedFd) {
    let (near, far) = UnixStream::pair().unwrap();
    near.set_read_timeout(Some(PATIENCE)).unwrap();
    (near, far.into())
}

pub fn everything() -> AttachRequest {
    AttachRequest { stdin: true, stdout: true, stderr: true, ..AttachRequest::default() }
}

/// A shim with its directories.
pub struct Shim {
    pub id: String,
    pub dir: tempfile::TempDir,
    pub child: Child,
    pub control: Connection,
    pub runtime: RuntimeRequest,
    rootfs: OwnedFd,
}

impl Shim {
    pub fn spawn() -> Self {
        let mut shim = Self::prepare();
        shim.launch();
        shim.control.hello();
        shim
    }

    /// Everything but the process.
    pub fn prepare() -> Self {
        let dir = tempfile::Builder::new().prefix("berth-shim-test-").tempdir().unwrap();
        for sub in ["state", "data", "rootfs", "runtime"] {
            fs::create_dir(dir.path().join(sub)).unwrap();
        }
        make_rootfs(&dir.path().join("rootfs"));
        let n = COUNTER.fetch_add(1, Ordering::Relaxed);
        let id = format!("shimtest{}x{n}", std::process::id());
        let runtime = match std::env::var("BERTH_TEST_RUNTIME") {
            Ok(path) => {
                RuntimeRequest::Outside { path: path.into(), args: vec![], root: dir.path().join("runtime") }
            }
            Err(_) => RuntimeRequest::BuiltIn,
        };
        let child = Command::new("true").spawn().unwrap();
        let rootfs = sys::mount::clone_path(dir.path().join("rootfs"), true).unwrap();
        // as all copies are where systemd has made the host's mounts shared
        let shared =
            sys::mount::Change { propagation: Some(sys::mount::Propagation::Shared), ..Default::default() };
        sys::mount::change(&rootfs, &shared).unwrap();
        Self { id, dir, child, control: Connection::over(pair().0), runtime, rootfs }
    }

    /// The process, with its first connection.
    pub fn launch(&mut self) {
        self.child.wait().unwrap();
        let (near, far) = UnixStream::pair().unwrap();
        let stderr = fs::File::create(self.dir.path().join("stderr")).unwrap();
        self.child = Command::new(env!("CARGO_BIN_EXE_berth-shim"))
            .arg(self.dir.path().join("state"))
            .arg(&self.id)
            .stdin(Stdio::from(OwnedFd::from(far)))
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .unwrap();
        self.control = Connection::over(near);
    }

    /// Ask for the container; the request's number.
    pub fn post_create(&mut self, request: CreateRequest) -> u64 {
        let rootfs = self.rootfs.try_clone().unwrap();
        self.control.post(Request::Create(Box::new(request)), &[rootfs.as_fd()])
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub fn log_request(&self) -> LogRequest {
        LogRequest {
            driver: "json-file".into(),
            path: self.data().join("c-json.log"),
            max_size: 10_000_000,
            max_file: 3,
            ..LogRequest::default()
        }
    }

    /// Of its own, without a parent that would stay.
    pub fn cgroup(&self) -> PathBuf {
        format!("/berth-shim-{}", self.id).into()
    }

    pub fn request(&self, args: &[&str], terminal: bool) -> CreateRequest {
        CreateRequest {
            id: self.id.clone(),
            spec: self.spec(args, terminal),
            rootfs_fd: true,
            netns_fd: false,
            run: 7,
            mounts: Vec::new(),
            open_stdin: false,
            stdin_once: false,
            log: self.log_request(),
            cgroup: Some(CgroupRequest { path: self.cgroup(), driver: CgroupDriver::Cgroupfs }),
            runtime: self.runtime.clone(),
            data_dir: self.data(),
            restore: None,
            seccomp: None,
            console_size: terminal.then_some((24, 80)),
            framed: false,
            bound: false,
        }
    }

    fn spec(&self, args: &[&str], terminal: bool) -> Spec {
        let spec = json!({
            "ociVersion": "1.0.2",
            "process": process_json(args, terminal),
            "root": { "path": self.dir.path().join("rootfs"), "readonly": false },
            "hostname": "box",
            "mounts": [
                { "destination": "/proc", "type": "proc", "source": "proc" },
                { "destination": "/dev", "type": "tmpfs", "source": "tmpfs",
                  "options": ["nosuid", "strictatime", "mode=755", "size=65536k"] },
                { "destination": "/dev/pts", "type": "devpts", "source": "devpts",
                  "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"] },
            ],
            "linux": {
                "cgroupsPath": self.cgroup(),
                "namespaces": [
                    { "type": "pid" }, { "type": "mount" }, { "type": "ipc" }, { "type": "uts" }, { "type": "network" }
                ],
            }
        });
        serde_json::from_value(spec).unwrap()
    }

    /// Create only.
    pub fn create(&mut self, request: CreateRequest) -> Result<i32, ErrorReply> {
        let id = self.post_create(request);
        match self.control.answer(id)? {
            Reply::Created(created) => Ok(created.pid),
            other => panic!("{other:?}"),
        }
    }

    pub fn start(&mut self) -> Result<(), ErrorReply> {
        self.control.call(Request::Start, &[]).map(drop)
    }

    /// Create and start.
    pub fn run(&mut self, request: CreateRequest) -> i32 {
        let pid = self.create(request).unwrap();
        self.start().unwrap();
        pid
    }

    pub fn exec(
        &mut self,
        id: &str,
        args: &[&str],
        terminal: bool,
        attach: bool,
    ) -> Result<UnixStream, ErrorReply> {
        let (near, far) = pair();
        let process: Process = serde_json::from_value(process_json(args, terminal)).unwrap();
        let request = Request::Exec(Box::new(ExecRequest {
            exec_id: id.into(),
            process,
            open_stdin: attach,
            attach: attach.then(|| everything_of(id)),
            console_size: terminal.then_some((30, 100)),
            bound: false,
        }));
        let fds = [far.as_fd()];
        self.control.call(request, if attach { &fds } else { &[] })?;
        Ok(near)
    }

    pub fn connect(&self) -> Connection {
        let dir = fs::File::open(self.dir.path().join("state")).unwrap();
        Connection::over(UnixStream::connect(format!("/proc/self/fd/{}/sock", dir.as_raw_fd())).unwrap())
    }

    pub fn kill(&mut self, signal: i32) {
        let request = KillRequest { exec_id: None, signal, all: false };
        self.control.call(Request::Kill(request), &[]).unwrap();
    }

    pub fn shutdown(&mut self) {
        self.control.call(Request::Shutdown, &[]).unwrap();
        assert!(self.child.wait().unwrap().success());
    }

    /// The log's messages.
    pub fn log(&self) -> String {
        let mut out = String::new();
        shim::log::read(&self.log_request(), &Default::default(), None, &mut |entry: shim::log::Entry| {
            out.push_str(&String::from_utf8_lossy(&entry.line));
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
        out
    }

    pub fn record(&self) -> Option<ExitRecord> {
        shim::exit::read(&self.data()).unwrap()
    }
}

impl Drop for Shim {
    /// Whatever a failed test has left.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Ok(cgroup) = sys::cgroup::Cgroup::open(
            &sys::cgroup::CgroupPath::new(&self.cgroup().to_string_lossy()).unwrap(),
        ) {
            let _ = cgroup.kill();
            let _ = cgroup.remove();
        }
        if std::thread::panicking() {
            eprintln!(
                "shim said: {}",
                fs::read_to_string(self.dir.path().join("stderr")).unwrap_or_default()
            );
        }
    }
}

pub fn everything_of(exec_id: &str) -> AttachRequest {
    AttachRequest { exec_id: Some(exec_id.into()), ..everything() }
}

pub fn process_json(args: &[&str], terminal: bool) -> serde_json::Value {
    let caps = ["CAP_CHOWN", "CAP_KILL", "CAP_SETUID", "CAP_SETGID"];
    json!({
        "terminal": terminal,
        "user": { "uid": 0, "gid": 0 },
        "args": args,
        "env": ["PATH=/bin", "TERM=xterm"],
        "cwd": "/",
        "capabilities": { "bounding": caps, "effective": caps, "permitted": caps },
        "noNewPrivileges": true,
    })
}

fn make_rootfs(root: &Path) {
    for dir in ["bin", "proc", "dev", "sys", "tmp", "etc"] {
        fs::create_dir_all(root.join(dir)).unwrap();
    }
    fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
    for tool in [
        "sh", "cat", "echo", "sleep", "true", "false", "head", "tr", "yes", "stty", "ps", "kill", "dd", "seq",
    ] {
        std::os::unix::fs::symlink("busybox", root.join("bin").join(tool)).unwrap();
    }
    fs::write(root.join("bin/text"), "no program").unwrap();
}

/// Read to the end.
pub fn drain(mut stream: &UnixStream) -> Vec<u8> {
    let mut out = Vec::new();
    stream.read_to_end(&mut out).unwrap();
    out
}

/// Read until the text has been seen.
pub fn read_until(mut stream: &UnixStream, wanted: &str) -> String {
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let n = stream
            .read(&mut buffer)
            .unwrap_or_else(|e| panic!("{e}; seen: {}", String::from_utf8_lossy(&seen)));
        assert!(n > 0, "end of stream before {wanted:?}: {:?}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&buffer[..n]);
        let text = String::from_utf8_lossy(&seen);
        if text.contains(wanted) {
            return text.into_owned();
        }
    }
}

pub fn write(mut stream: &UnixStream, bytes: &[u8]) {
    stream.write_all(bytes).unwrap();
}

/// Docker's frames taken apart: stdout, stderr.
pub fn demux(mut bytes: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    while let Some((head, rest)) = bytes.split_first_chunk::<STREAM_HEADER>() {
        let length = u32::from_be_bytes([head[4], head[5], head[6], head[7]]) as usize;
        match head[0] {
            1 => out.extend_from_slice(&rest[..length]),
            2 => err.extend_from_slice(&rest[..length]),
            n => panic!("stream {n}"),
        }
        bytes = &rest[length..];
    }
    assert!(bytes.is_empty());
    (out, err)
}

pub fn alive(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}
