//! The loop, and who is connected.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::Timespec;
use rustix::event::epoll::EventFlags;
use rustix::net::SocketFlags;
use sys::signal::{Signal, SignalFd};

use super::container::Container;
use super::daemon::Daemon;
use super::kept::Kept;
use super::requests::kill_child;
use super::session::{Detached, Session};
use super::token::{Poller, Token};
use crate::log::{LogWriter, Stream};
use crate::protocol::{Event, FrameError, LogRequest, ServerFrame};
use crate::relay::Relay;

/// Daemons connected at once: one, and for a moment its successor; a person with a tool may come as third.
const MAX_DAEMONS: usize = 8;

/// After so long without work memory is given back: a shim that sleeps beside its container should be small.
const REST_AFTER: Duration = Duration::from_millis(500);

/// The shim's whole state.
pub(super) struct Server {
    pub(super) poller: Poller,
    signals: SignalFd,
    listener: OwnedFd,
    pub(super) state_dir: File,
    daemons: Vec<Daemon>,
    /// The container's own streams come first and stay; then the exec sessions.
    pub(super) sessions: Vec<Session>,
    pub(super) container: Option<Container>,
    pub(super) log: LogWriter,
    pub(super) kept: Kept,
    pub(super) relay: Option<Box<Relay>>,
    pub(super) buffer: Vec<u8>,
    last_number: u64,
    /// The daemon has acknowledged.
    pub(super) released: bool,
    /// Memory was used since it was last given back: when to do so if nothing else happens.
    rest_at: Option<Instant>,
}

impl Server {
    pub(super) fn new(poller: Poller, signals: SignalFd, listener: OwnedFd, state_dir: File) -> Self {
        Self {
            poller,
            signals,
            listener,
            state_dir,
            daemons: Vec::new(),
            sessions: vec![Session::new(0, None)],
            container: None,
            log: LogWriter::none(),
            kept: Kept::default(),
            relay: None,
            buffer: Vec::new(),
            last_number: 0,
            released: false,
            rest_at: None,
        }
    }

    /// A number never used before.
    pub(super) fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    pub(super) fn add_daemon(&mut self, socket: OwnedFd) {
        let id = self.number();
        self.daemons.push(Daemon::new(id, socket, &self.poller));
    }

    /// Serve until there is nothing left to do.
    pub(super) fn serve(&mut self) -> io::Result<()> {
        while !self.is_done() {
            let events = self.poller.wait(self.patience())?;
            if events.is_empty() {
                self.rest();
            } else {
                self.rest_at = Some(Instant::now() + REST_AFTER);
            }
            for (token, flags) in events {
                self.handle(token, flags);
            }
            self.drop_stalled();
            if self.log.deadline().is_some() && self.log.wake(Instant::now()) {
                self.watch_log();
            }
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        let wanted = !self.released && (!self.daemons.is_empty() || self.is_running());
        // clients still get their last bytes, and so does whoever the log is forwarded to
        !wanted && !self.log.has_pending() && self.sessions.iter().all(|session| session.clients.is_empty())
    }

    /// Whether the container was started and has not ended.
    pub(super) fn is_running(&self) -> bool {
        self.container.as_ref().is_some_and(|c| c.started_at.is_some() && c.exit.is_none())
    }

    /// Nothing has happened for a while: give back what the last work has taken.
    fn rest(&mut self) {
        if self.rest_at.take_if(|at| *at <= Instant::now()).is_some() {
            self.buffer = Vec::new();
            self.log.rest();
            if let Some(relay) = &mut self.relay {
                relay.rest();
            }
            sys::memory::release();
        }
    }

    /// How long to wait at most: until a client has held its session back for too long, until it is time to rest, or until the log wants it.
    fn patience(&self) -> Option<Timespec> {
        let stalls = self.sessions.iter().filter_map(Session::deadline);
        let deadline = stalls.chain(self.rest_at).chain(self.log.deadline()).min()?;
        let left = deadline.saturating_duration_since(Instant::now());
        // a second is the granularity, rounded up
        Some(Timespec { tv_sec: left.as_secs().cast_signed() + 1, tv_nsec: 0 })
    }

    fn drop_stalled(&mut self) {
        let now = Instant::now();
        for session in self.sessions.iter_mut().filter(|session| session.deadline().is_some_and(|d| d <= now))
        {
            session.drop_stalled(now);
            session.watch(&self.poller);
        }
    }

    fn handle(&mut self, token: Token, flags: EventFlags) {
        match token {
            Token::Signals => self.reap(),
            Token::Listener => self.accept(),
            Token::Oom => self.notice_oom(),
            Token::Daemon(id) => self.daemon_ready(id, flags),
            Token::Stdout(number) => self.output_ready(number, Stream::Stdout),
            Token::Stderr(number) => self.output_ready(number, Stream::Stderr),
            Token::Stdin(number) => self.with_session(number, |session, _| session.flush_input()),
            Token::Client(id) => self.client_ready(id, flags),
            Token::Log => self.log_ready(),
            Token::Ports => self.ports_ready(),
        }
    }

    /// Take every pending signal; only a child's end means anything.
    pub(super) fn drain_signals(&self) {
        while let Ok(Some(_)) = self.signals.next() {}
    }

    fn accept(&mut self) {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        // a caller that has gone away again is no loss
        let Ok(socket) = rustix::net::accept_with(&self.listener, flags) else { return };
        if self.daemons.len() < MAX_DAEMONS {
            self.add_daemon(socket);
        }
    }

    fn with_session(&mut self, number: u64, act: impl FnOnce(&mut Session, &mut LogWriter)) {
        if let Some(at) = self.sessions.iter().position(|session| session.number == number) {
            let session = &mut self.sessions[at];
            act(session, &mut self.log);
            session.watch(&self.poller);
            self.forget_if_over(at);
        }
    }

    fn output_ready(&mut self, number: u64, stream: Stream) {
        let mut buffer = std::mem::take(&mut self.buffer);
        self.with_session(number, |session, log| {
            session.pump(stream, &mut buffer, log);
        });
        self.buffer = buffer;
    }

    fn client_ready(&mut self, id: u64, flags: EventFlags) {
        let owner = |session: &Session| session.clients.iter().any(|client| client.id == id);
        let Some(at) = self.sessions.iter().position(owner) else { return };
        let session = &mut self.sessions[at];
        let detached = session.client_ready(id, flags);
        session.watch(&self.poller);
        let exec_id = session.exec_id.clone();
        self.forget_if_over(at);
        if let Some(Detached(client)) = detached {
            self.tell(Event::Detached { client, exec_id });
        }
    }

    /// Forget an exec session of which nothing is left.
    pub(super) fn forget_if_over(&mut self, at: usize) {
        if at > 0 && self.sessions[at].is_over() {
            self.sessions.remove(at);
        }
    }

    fn daemon_ready(&mut self, id: u64, flags: EventFlags) {
        let Some(at) = self.daemons.iter().position(|daemon| daemon.id == id) else { return };
        let daemon = &mut self.daemons[at];
        if flags.contains(EventFlags::OUT) && !daemon.flush(&self.poller) {
            return self.drop_daemon(id);
        }
        let alive = matches!(daemon.fill(), Ok(true));
        // what it has sent before it ended is still done
        if self.serve_frames(id).is_err() || !alive {
            self.drop_daemon(id);
        }
    }

    /// Do what the daemons before this one have asked: they are gone, and what a new one is told must stay true.
    pub(super) fn serve_older(&mut self, id: u64) {
        let older: Vec<u64> =
            self.daemons.iter().map(|daemon| daemon.id).filter(|other| *other < id).collect();
        for other in older {
            let daemon = self.daemons.iter_mut().find(|daemon| daemon.id == other);
            let alive = daemon.is_some_and(|daemon| matches!(daemon.fill_all(), Ok(true)));
            if self.serve_frames(other).is_err() || !alive {
                self.drop_daemon(other);
            }
        }
    }

    fn serve_frames(&mut self, id: u64) -> Result<(), FrameError> {
        while let Some(daemon) = self.daemons.iter_mut().find(|daemon| daemon.id == id) {
            let Some(bytes) = daemon.next_frame()? else { break };
            let answer = self.answer(id, &bytes)?;
            self.send(id, &answer.frame, &answer.fds);
        }
        Ok(())
    }

    /// The descriptors that came with a daemon's frame.
    pub(super) fn take_fds(&mut self, id: u64, count: usize) -> Vec<OwnedFd> {
        let daemon = self.daemons.iter_mut().find(|daemon| daemon.id == id);
        daemon.map(|daemon| daemon.take_fds(count)).unwrap_or_default()
    }

    /// The daemon wants events from now on.
    pub(super) fn greet(&mut self, id: u64) {
        if let Some(daemon) = self.daemons.iter_mut().find(|daemon| daemon.id == id) {
            daemon.greeted = true;
        }
    }

    fn send(&mut self, id: u64, frame: &ServerFrame, fds: &[OwnedFd]) {
        let sent = self.daemons.iter_mut().find(|daemon| daemon.id == id);
        if sent.is_some_and(|daemon| !daemon.send(frame, fds, &self.poller)) {
            self.drop_daemon(id);
        }
    }

    /// Send an event to everybody who has said hello.
    pub(super) fn tell(&mut self, event: Event) {
        let frame = ServerFrame { event: Some(event), ..ServerFrame::default() };
        self.daemons.retain_mut(|daemon| !daemon.greeted || daemon.send(&frame, &[], &self.poller));
    }

    fn drop_daemon(&mut self, id: u64) {
        self.daemons.retain(|daemon| daemon.id != id);
        for session in self.sessions.iter().filter(|session| session.bound_to == Some(id)) {
            // whoever has ended meanwhile needs no signal
            let _ = match (session.pid, &self.container) {
                (Some(pid), Some(container)) if session.number == 0 => {
                    container.kill(pid, Signal::KILL, true)
                }
                (Some(pid), _) => kill_child(pid, Signal::KILL),
                (None, _) => Ok(()),
            };
        }
        if self.daemons.is_empty() && !self.is_running() {
            self.let_go();
        }
    }

    /// The container belonged to a daemon that is gone: nobody will ask how it ended.
    pub(super) fn is_orphan(&self) -> bool {
        let bound = self.sessions[0].bound_to;
        bound.is_some_and(|id| self.daemons.iter().all(|daemon| daemon.id != id))
    }

    /// Nobody will start this container any more, or ask how it ended.
    pub(super) fn let_go(&mut self) {
        if let Some(container) = &mut self.container {
            // the next daemon's sweep removes what could not be removed
            let _ = container.clean_up();
        }
        self.sessions[0].abandon_unless_ended();
    }

    /// Open the container's log.
    pub(super) fn open_log(&mut self, request: &LogRequest) -> Result<(), crate::log::LogError> {
        self.log = LogWriter::open(request)?;
        self.watch_log();
        Ok(())
    }

    /// Be told whenever the program that output is handed to takes more.
    fn watch_log(&mut self) {
        if let Some(socket) = self.log.socket() {
            // without it, the next output hands on what waits
            let _ = self.poller.add(socket, Token::Log, EventFlags::OUT | EventFlags::ET);
        }
        self.log_ready();
    }

    fn log_ready(&mut self) {
        self.log.flush_forward();
        let session = &mut self.sessions[0];
        session.held = self.log.is_blocked();
        session.watch(&self.poller);
    }
}
