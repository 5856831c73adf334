//! What each request does.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;

use sys::Pid;
use sys::signal::Signal;
use sys::tty::Size;

use super::backend::dump;
use super::client::Client;
use super::container::{self, Container, failed};
use super::server::Server;
use super::session::Session;
use super::token::Token;
use crate::log;
use crate::protocol::{
    AttachRequest, Attached, CheckpointRequest, ClientFrame, CreateRequest, Created, ErrorKind, ErrorReply,
    ExecRequest, ExecState, FrameError, HelloReply, KillRequest, MAX_FRAME, Reply, Request, ResizeRequest,
    ServerFrame, StartedReply, StateReply, Status, VERSION,
};

/// Exec sessions at once.
const MAX_SESSIONS: usize = 4096;

/// A reply's frame, and the descriptors that go with it.
pub(super) struct Answer {
    pub(super) frame: ServerFrame,
    pub(super) fds: Vec<OwnedFd>,
}

pub(super) type Outcome = Result<Reply, ErrorReply>;

fn invalid_state(message: &str) -> ErrorReply {
    ErrorReply::new(ErrorKind::InvalidState, message)
}

impl Server {
    /// Do what a frame asks. The error is that it can't be read at all.
    pub(super) fn answer(&mut self, daemon: u64, bytes: &[u8]) -> Result<Answer, FrameError> {
        #[derive(serde::Deserialize)]
        struct Envelope {
            id: u64,
            #[serde(default)]
            fds: usize,
        }
        let (id, outcome) = match serde_json::from_slice::<ClientFrame>(bytes) {
            Ok(ClientFrame { id, fds, request }) => {
                let fds = self.take_fds(daemon, fds);
                match request {
                    Request::Netns => return Ok(handing(id, self.netns())),
                    Request::Kept { name } => return Ok(handing(id, self.kept(&name))),
                    Request::Mount { name } => return Ok(handing(id, self.mount(&name))),
                    _ => (id, self.perform(daemon, request, fds, bytes)),
                }
            }
            Err(e) => {
                let Envelope { id, fds } = serde_json::from_slice(bytes)?;
                drop(self.take_fds(daemon, fds));
                let message = format!("the shim does not understand the request: {e}");
                (id, Err(ErrorReply::new(ErrorKind::Unsupported, message)))
            }
        };
        let (reply, error) = match outcome {
            Ok(reply) => (Some(reply), None),
            Err(error) => (None, Some(error)),
        };
        let frame = ServerFrame { id: Some(id), reply, error, ..ServerFrame::default() };
        Ok(Answer { frame, fds: Vec::new() })
    }

    fn perform(&mut self, daemon: u64, request: Request, fds: Vec<OwnedFd>, bytes: &[u8]) -> Outcome {
        match request {
            Request::Hello { version: _ } => Ok(self.hello(daemon)),
            Request::Create(request) => self.create(daemon, &request, fds, bytes),
            Request::Start => self.start(),
            Request::Exec(request) => self.exec(daemon, &request, fds),
            Request::Attach(request) => self.attach(&request, fds),
            Request::Resize(request) => self.resize(&request),
            Request::CloseStdin { exec_id } => self.close_stdin(exec_id.as_deref()),
            Request::Kill(request) => self.kill(&request),
            Request::Pause => self.started()?.set_paused(true).map(|()| Reply::Done),
            Request::Resume => self.started()?.set_paused(false).map(|()| Reply::Done),
            Request::Update(resources) => match &self.container {
                Some(container) => container.update(&resources).map(|()| Reply::Done),
                None => Err(invalid_state("update: the container was not created")),
            },
            Request::Checkpoint(request) => self.checkpoint(&request),
            Request::Ps => {
                let init = self.sessions[0].pid;
                self.started()?.pids(init).map(Reply::Pids)
            }
            Request::State => Ok(Reply::State(Box::new(self.state()))),
            Request::Shutdown => self.shutdown(),
            Request::Keep { name } => self.keep(name, fds),
            Request::HoldPorts { ports } => self.hold_ports(ports, fds),
            Request::ReleasePorts { ports } => self.release_ports(&ports),
            Request::Ports => Ok(Reply::Ports(self.ports())),
            Request::Netns | Request::Kept { .. } | Request::Mount { .. } => {
                Err(ErrorReply::new(ErrorKind::Unsupported, "answered with descriptors"))
            }
        }
    }

    fn hello(&mut self, daemon: u64) -> Reply {
        self.serve_older(daemon);
        self.greet(daemon);
        Reply::Hello(Box::new(HelloReply {
            version: VERSION,
            release: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id().cast_signed(),
            state: self.state(),
        }))
    }

    fn state(&self) -> StateReply {
        let main = &self.sessions[0];
        let running = self.sessions[1..].iter().filter_map(|session| {
            let pid = session.pid?.as_raw_nonzero().get();
            Some(ExecState { exec_id: session.exec_id.clone()?, pid, terminal: session.terminal })
        });
        let container = self.container.as_ref();
        let status = match container {
            None => Status::Empty,
            Some(c) if c.exit.is_some() => Status::Exited,
            Some(c) if c.paused => Status::Paused,
            Some(c) if c.started_at.is_some() => Status::Running,
            Some(_) => Status::Created,
        };
        StateReply {
            id: container.map(|c| c.id.clone()).unwrap_or_default(),
            status,
            pid: main.pid.map(|pid| pid.as_raw_nonzero().get()),
            started_at: container.and_then(|c| c.started_at),
            run: container.map_or(0, |c| c.run),
            exit: container.and_then(|c| c.exit.clone()),
            oom_killed: container.is_some_and(|c| c.oom_killed),
            terminal: main.terminal,
            execs: running.collect(),
        }
    }

    fn create(&mut self, daemon: u64, request: &CreateRequest, fds: Vec<OwnedFd>, bytes: &[u8]) -> Outcome {
        if self.container.is_some() {
            return Err(invalid_state("create: the container exists"));
        }
        // a daemon that was killed may have asked before its successor gave the container up
        if self.released {
            return Err(invalid_state("create: the shim was given up"));
        }
        self.open_log(&request.log).map_err(|e| match e {
            log::LogError::NotReady(_) => ErrorReply::new(ErrorKind::Log, e.to_string()),
            other => failed("create", other),
        })?;
        container::keep(&self.state_dir, bytes).map_err(|e| failed("keep the request", e))?;
        let (container, made) = Container::create(request, fds, &self.state_dir)?;
        if let Some(oom) = &container.oom {
            // without events a kill is still noticed at the container's end
            let _ = self.poller.add(oom, Token::Oom, oom.interest());
        }
        self.container = Some(container);
        let session = &mut self.sessions[0];
        session.terminal =
            request.spec.process().as_ref().and_then(oci_spec::runtime::Process::terminal).unwrap_or(false);
        session.framed = request.framed;
        session.bound_to = request.bound.then_some(daemon);
        session.stdin_once = request.stdin_once;
        session.begin(&self.poller, made.pid, made.ends).map_err(|e| failed("watch the streams", e))?;
        Ok(Reply::Created(Created { pid: made.pid.as_raw_nonzero().get(), client: None }))
    }

    fn start(&mut self) -> Outcome {
        let container = self.existing()?;
        match container.start() {
            Ok(at) => Ok(Reply::Started(StartedReply { at })),
            Err(e) => {
                // its process has ended or will: it was no container's
                self.sessions[0].abandon();
                if let Some(mut container) = self.container.take() {
                    // the first error counts; the sweep finds what is left
                    let _ = container.clean_up();
                }
                Err(e)
            }
        }
    }

    fn exec(&mut self, daemon: u64, request: &ExecRequest, fds: Vec<OwnedFd>) -> Outcome {
        let Some(init) = self.sessions[0].pid.filter(|_| self.is_running()) else {
            return Err(invalid_state("exec: the container is not running"));
        };
        // it would be frozen before it is the program, and we would wait for it
        if self.container.as_ref().is_some_and(|container| container.paused) {
            return Err(invalid_state("exec: the container is paused"));
        }
        if self.sessions.len() > MAX_SESSIONS {
            return Err(invalid_state("exec: too many sessions"));
        }
        if self.sessions.iter().any(|session| session.exec_id.as_deref() == Some(&request.exec_id)) {
            return Err(invalid_state("exec: there is a session of this id"));
        }
        let created = self.kept_request()?;
        let number = self.number();
        let mut session = Session::new(number, Some(request.exec_id.clone()));
        session.terminal = request.process.terminal().unwrap_or(false);
        session.stdin_once = true;
        session.bound_to = request.bound.then_some(daemon);
        let client = match &request.attach {
            Some(attach) => Some(self.add_client(&mut session, attach, fds)?),
            None => None,
        };
        let Some(container) = &self.container else { return Err(invalid_state("exec: no container")) };
        let made = container.exec(init, request, &created)?;
        let pid = made.pid;
        session.begin(&self.poller, pid, made.ends).map_err(|e| failed("watch the streams", e))?;
        self.sessions.push(session);
        Ok(Reply::Created(Created { pid: pid.as_raw_nonzero().get(), client }))
    }

    /// The request that the container was made from.
    fn kept_request(&self) -> Result<Box<CreateRequest>, ErrorReply> {
        let read = || -> std::io::Result<ClientFrame> {
            let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC;
            let file =
                rustix::fs::openat(&self.state_dir, container::KEPT, flags, rustix::fs::Mode::empty())?;
            let mut bytes = Vec::new();
            File::from(file).take(MAX_FRAME as u64).read_to_end(&mut bytes)?;
            Ok(serde_json::from_slice(&bytes)?)
        };
        match read() {
            Ok(ClientFrame { request: Request::Create(created), .. }) => Ok(created),
            Ok(_) => Err(failed("exec", "the kept request is another one")),
            Err(e) => Err(failed("read the kept request", e)),
        }
    }

    fn add_client(
        &mut self,
        session: &mut Session,
        request: &AttachRequest,
        fds: Vec<OwnedFd>,
    ) -> Result<u64, ErrorReply> {
        let missing =
            || ErrorReply::new(ErrorKind::Invalid, "attach: the connection's descriptor is missing");
        let socket = fds.into_iter().next().ok_or_else(missing)?;
        let id = self.number();
        session.clients.push(Client::new(id, socket, request));
        Ok(id)
    }

    fn attach(&mut self, request: &AttachRequest, fds: Vec<OwnedFd>) -> Outcome {
        if self.container.as_ref().is_some_and(|container| container.exit.is_some()) {
            return Err(invalid_state("attach: the container has ended"));
        }
        let at = self.session_of(request.exec_id.as_deref())?;
        let placeholder = Session::new(self.sessions[at].number, None);
        let mut session = std::mem::replace(&mut self.sessions[at], placeholder);
        let client = self.add_client(&mut session, request, fds);
        session.clients_joined();
        session.watch(&self.poller);
        self.sessions[at] = session;
        Ok(Reply::Attached(Attached { client: client?, log_offset: self.log.offset() }))
    }

    fn session_of(&self, exec_id: Option<&str>) -> Result<usize, ErrorReply> {
        let at = self.sessions.iter().position(|session| session.exec_id.as_deref() == exec_id);
        let unknown = || format!("no exec session {}", exec_id.unwrap_or_default());
        at.ok_or_else(|| ErrorReply::new(ErrorKind::NoSuchExec, unknown()))
    }

    fn resize(&self, request: &ResizeRequest) -> Outcome {
        let at = self.session_of(request.exec_id.as_deref())?;
        let console = self.sessions[at].console();
        let console = console.ok_or_else(|| invalid_state("resize: there is no terminal"))?;
        let size = Size { rows: request.rows, columns: request.columns };
        sys::tty::set_size(console, size).map_err(|e| failed("resize", e))?;
        Ok(Reply::Done)
    }

    fn close_stdin(&mut self, exec_id: Option<&str>) -> Outcome {
        let at = self.session_of(exec_id)?;
        self.sessions[at].close_input();
        self.sessions[at].watch(&self.poller);
        Ok(Reply::Done)
    }

    fn kill(&mut self, request: &KillRequest) -> Outcome {
        let at = self.session_of(request.exec_id.as_deref())?;
        let unknown = || ErrorReply::new(ErrorKind::Invalid, format!("kill: no signal {}", request.signal));
        let signal = Signal::from_number(request.signal).ok_or_else(unknown)?;
        let Some(pid) = self.sessions[at].pid else {
            return Err(invalid_state("kill: the process has ended"));
        };
        if at == 0 {
            self.existing()?.kill(pid, signal, request.all)?;
        } else {
            kill_child(pid, signal)?;
        }
        Ok(Reply::Done)
    }

    fn checkpoint(&mut self, request: &CheckpointRequest) -> Outcome {
        let Some(init) = self.sessions[0].pid.filter(|_| self.is_running()) else {
            return Err(invalid_state("checkpoint: the container is not running"));
        };
        if self.sessions.iter().skip(1).any(|session| session.pid.is_some()) {
            return Err(invalid_state("checkpoint: an exec session is running in the container"));
        }
        let created = self.kept_request()?;
        let streams = self.sessions[0].checkpoint_streams().map_err(|e| failed("checkpoint", e))?;
        dump(init, &created, request, streams, &self.state_dir)?;
        Ok(Reply::Done)
    }

    fn shutdown(&mut self) -> Outcome {
        if self.is_running() {
            return Err(invalid_state("shutdown: the container runs"));
        }
        self.released = true;
        // of a start that failed: the next one may come before this process ends
        self.close_ports();
        if self.container.as_ref().is_some_and(|container| container.exit.is_none()) {
            self.sessions[0].abandon();
        }
        match &mut self.container {
            Some(container) => container.clean_up().map(|()| Reply::Done),
            None => Ok(Reply::Done),
        }
    }

    fn netns(&self) -> Result<Vec<OwnedFd>, ErrorReply> {
        let netns = self.container.as_ref().and_then(|container| container.netns.as_ref());
        copies(netns.map(std::slice::from_ref), "netns: the shim holds none")
    }

    fn keep(&mut self, name: String, fds: Vec<OwnedFd>) -> Outcome {
        self.kept.keep(name, fds).map(|()| Reply::Done)
    }

    fn kept(&self, name: &str) -> Result<Vec<OwnedFd>, ErrorReply> {
        copies(self.kept.get(name), "kept: nothing")
    }

    fn mount(&self, name: &str) -> Result<Vec<OwnedFd>, ErrorReply> {
        let container = self.container.as_ref().filter(|_| self.is_running());
        match container.zip(self.sessions[0].pid) {
            Some((container, init)) => container.kept_mount(name, init),
            None => Err(invalid_state("mount: the container is not running")),
        }
    }

    fn existing(&mut self) -> Result<&mut Container, ErrorReply> {
        self.container.as_mut().ok_or_else(|| invalid_state("the container was not created"))
    }

    fn started(&mut self) -> Result<&mut Container, ErrorReply> {
        if self.is_running() { self.existing() } else { Err(invalid_state("the container is not running")) }
    }
}

/// Copies of descriptors that are held, or the refusal.
fn copies(fds: Option<&[OwnedFd]>, otherwise: &str) -> Result<Vec<OwnedFd>, ErrorReply> {
    let copies: Vec<_> = fds.unwrap_or_default().iter().filter_map(|fd| fd.try_clone().ok()).collect();
    if copies.is_empty() { Err(invalid_state(otherwise)) } else { Ok(copies) }
}

/// The answer that is descriptors, or a refusal.
fn handing(id: u64, fds: Result<Vec<OwnedFd>, ErrorReply>) -> Answer {
    let mut frame = ServerFrame { id: Some(id), ..ServerFrame::default() };
    let fds = match fds {
        Ok(fds) => {
            frame.reply = Some(Reply::Done);
            fds
        }
        Err(error) => {
            frame.error = Some(error);
            Vec::new()
        }
    };
    frame.fds = fds.len();
    Answer { frame, fds }
}

/// It is our child and not reaped, so the number is its own.
pub(super) fn kill_child(pid: Pid, signal: Signal) -> Result<(), ErrorReply> {
    sys::signal::kill(pid, signal).map_err(|e| failed("kill", e))
}
