//! Ends of processes, and of memory.

use jiff::Timestamp;
use sys::Pid;
use sys::process::Exit;

use super::server::Server;
use crate::protocol::Event;

impl Server {
    /// Reap every child that has ended: the container's first process, exec sessions, and orphans.
    pub(super) fn reap(&mut self) {
        self.drain_signals();
        while let Ok(Some((pid, exit))) = sys::process::try_wait_any() {
            self.ended(pid, exit);
        }
    }

    fn ended(&mut self, pid: Pid, exit: Exit) {
        let Some(at) = self.sessions.iter().position(|session| session.pid == Some(pid)) else {
            self.log.child_ended(pid);
            return;
        };
        if at == 0 {
            self.container_ended(exit);
        } else {
            self.exec_ended(at, exit);
        }
    }

    /// The order matters: output into the log, the record onto the disk, then the news.
    fn container_ended(&mut self, exit: Exit) {
        let at = Timestamp::now();
        self.notice_oom();
        if let Some(container) = &self.container {
            container.end_others();
        }
        self.end_streams(0);
        // before anyone hears of the end, so that the next run finds them free
        self.close_ports();
        self.log.end();
        let Some(container) = &mut self.container else { return };
        let signal = match exit {
            Exit::Signal { signal, .. } => Some(signal.number()),
            Exit::Code(_) => None,
        };
        let record = container.record(exit.shell_code(), signal, at);
        self.tell(Event::Exited(record));
        if self.is_orphan() {
            self.let_go();
        }
    }

    fn exec_ended(&mut self, at: usize, exit: Exit) {
        self.end_streams(at);
        let exec_id = self.sessions[at].exec_id.clone().unwrap_or_default();
        self.forget_if_over(at);
        self.tell(Event::ExecExited { exec_id, code: exit.shell_code() });
    }

    fn end_streams(&mut self, at: usize) {
        let session = &mut self.sessions[at];
        session.process_ended(&mut self.buffer, &mut self.log);
        session.watch(&self.poller);
    }

    /// The kernel's out-of-memory count may have moved.
    pub(super) fn notice_oom(&mut self) {
        if self.container.as_mut().is_some_and(super::container::Container::notice_oom) {
            self.tell(Event::OomKilled);
        }
    }
}
