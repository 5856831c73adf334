//! Exec sessions, in memory: they end with the container.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::exec::{Exec, ExecConfig};
use crate::error::{Error, Result};

/// How long at least an ended session is remembered for inspect, as with Docker: whoever has started it asks for its
/// exit code only then.
const REMEMBERED: Duration = Duration::from_secs(300);
/// Ended sessions of one container that stay however long ago they ended.
const FEW_ENDED: usize = 64;
/// Ended sessions of one container at most: of more than that within [`REMEMBERED`], the oldest are forgotten.
const MOST_ENDED: usize = 4096;
/// Sessions of one container that may be prepared or run.
const MOST_LIVE: usize = 4096;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Prepared,
    Starting,
    Running(u32),
    Ended(u32, i32, Instant),
}

/// One session.
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) container_id: String,
    pub(crate) config: ExecConfig,
    stage: watch::Sender<Stage>,
    detached: watch::Sender<bool>,
}

impl Session {
    pub(crate) fn new(id: String, container_id: String, config: ExecConfig) -> Self {
        let (stage, detached) = (watch::Sender::new(Stage::Prepared), watch::Sender::new(false));
        Self { id, container_id, config, stage, detached }
    }

    /// From now on nobody else may start it.
    ///
    /// # Errors
    /// It was started before.
    pub(crate) fn begin(&self) -> Result<()> {
        let mut first = false;
        self.stage.send_if_modified(|stage| {
            first = *stage == Stage::Prepared;
            if first {
                *stage = Stage::Starting;
            }
            first
        });
        if first {
            return Ok(());
        }
        Err(match *self.stage.borrow() {
            Stage::Ended(..) => Error::conflict(format!("exec instance {} has already exited", self.id)),
            _ => Error::conflict(format!("exec instance {} is already running", self.id)),
        })
    }

    /// It runs. A session that ended before this was heard stays ended.
    pub(crate) fn runs(&self, pid: u32) {
        self.stage.send_modify(|stage| match *stage {
            Stage::Ended(_, code, at) => *stage = Stage::Ended(pid, code, at),
            _ => *stage = Stage::Running(pid),
        });
    }

    /// It could not be started.
    pub(crate) fn failed(&self, code: i32) {
        self.stage.send_replace(Stage::Ended(0, code, Instant::now()));
    }

    fn ended(&self, code: i32) {
        self.stage.send_modify(|stage| {
            let (pid, at) = match *stage {
                Stage::Ended(pid, _, at) => (pid, at),
                Stage::Running(pid) => (pid, Instant::now()),
                Stage::Prepared | Stage::Starting => (0, Instant::now()),
            };
            *stage = Stage::Ended(pid, code, at);
        });
    }

    fn is_ended(&self) -> bool {
        matches!(*self.stage.borrow(), Stage::Ended(..))
    }

    /// Waits for its end.
    pub(crate) async fn wait(&self) -> Option<i32> {
        let mut receiver = self.stage.subscribe();
        let stage = receiver.wait_for(|stage| matches!(stage, Stage::Ended(..))).await.ok()?;
        match *stage {
            Stage::Ended(_, code, _) => Some(code),
            _ => None,
        }
    }

    /// Waits until its end is known, or its client has typed the keys that detach it: only then may the
    /// client see the end of the output, for the first thing that it asks next is the exit code.
    pub(crate) async fn left(&self) {
        let mut detached = self.detached.subscribe();
        tokio::select! {
            _ = self.wait() => {}
            _ = detached.wait_for(|detached| *detached) => {}
        }
    }

    pub(crate) fn describe(&self) -> Exec {
        let (running, pid, exit_code) = match *self.stage.borrow() {
            Stage::Prepared | Stage::Starting => (false, 0, None),
            Stage::Running(pid) => (true, pid, None),
            Stage::Ended(pid, code, _) => (false, pid, Some(code)),
        };
        Exec {
            id: self.id.clone(),
            container_id: self.container_id.clone(),
            config: self.config.clone(),
            running,
            exit_code,
            pid,
        }
    }
}

/// All sessions.
#[derive(Default)]
pub(crate) struct Execs(Mutex<HashMap<String, Vec<Arc<Session>>>>);

impl Execs {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<Arc<Session>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a session; ended ones of its container are forgotten when their time has come.
    ///
    /// # Errors
    /// The container has too many.
    pub(crate) fn add(&self, session: Session) -> Result<()> {
        let mut all = self.lock();
        let sessions = all.entry(session.container_id.clone()).or_default();
        let ended = sessions.iter().filter(|session| session.is_ended()).count();
        if sessions.len() - ended >= MOST_LIVE {
            return Err(Error::conflict(format!("container has {MOST_LIVE} exec sessions already")));
        }
        forget_old(sessions, ended, Instant::now());
        sessions.push(Arc::new(session));
        Ok(())
    }

    /// A session by id or unambiguous beginning.
    ///
    /// # Errors
    /// None.
    pub(crate) fn find(&self, id: &str) -> Result<Arc<Session>> {
        let all = self.lock();
        let mut fitting =
            all.values().flatten().filter(|session| !id.is_empty() && session.id.starts_with(id));
        match (fitting.next(), fitting.next()) {
            (Some(session), None) => Ok(Arc::clone(session)),
            _ => Err(Error::no_such_exec(id)),
        }
    }

    /// Ids of a container's sessions that have not ended.
    pub(crate) fn of(&self, container: &str) -> Vec<String> {
        let all = self.lock();
        let live = all.get(container).into_iter().flatten().filter(|session| !session.is_ended());
        live.map(|session| session.id.clone()).collect()
    }

    /// A session's process has ended; says whether it is known.
    pub(crate) fn ended(&self, id: &str, code: i32) -> bool {
        let session = self.lock().values().flatten().find(|session| session.id == id).cloned();
        session.inspect(|session| session.ended(code)).is_some()
    }

    /// A session's client has typed its detach keys.
    pub(crate) fn detached(&self, id: &str) {
        for session in self.lock().values().flatten().filter(|session| session.id == id) {
            session.detached.send_replace(true);
        }
    }

    /// A container has ended, and with it all of its sessions.
    pub(crate) fn container_ended(&self, container: &str) {
        for session in self.lock().get(container).into_iter().flatten() {
            if !session.is_ended() {
                session.ended(137);
            }
        }
    }

    /// A container is gone.
    pub(crate) fn forget(&self, container: &str) {
        self.lock().remove(container);
    }
}

/// Forgets the oldest of those that have ended, `ended` in number: as many as are too many, and as are too old.
fn forget_old(sessions: &mut Vec<Arc<Session>>, ended: usize, now: Instant) {
    let mut left = ended;
    sessions.retain(|session| {
        let Stage::Ended(_, _, at) = *session.stage.borrow() else { return true };
        let old = now.saturating_duration_since(at) >= REMEMBERED;
        let forget = left > MOST_ENDED || (left > FEW_ENDED && old);
        left -= usize::from(forget);
        !forget
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(all: usize, time: Duration) -> (usize, bool) {
        let mut sessions: Vec<_> = (0..all)
            .map(|number| Arc::new(Session::new(number.to_string(), String::new(), ExecConfig::default())))
            .collect();
        sessions.iter().skip(1).for_each(|session| session.ended(0));
        forget_old(&mut sessions, all - 1, Instant::now() + time);
        (sessions.len(), sessions[0].id == "0")
    }

    #[test]
    fn ended_sessions_are_forgotten_late_and_live_ones_never() {
        assert_eq!(after(1001, Duration::ZERO), (1001, true));
        assert_eq!(after(1001, REMEMBERED), (1 + FEW_ENDED, true));
        assert_eq!(after(2 * MOST_ENDED, Duration::ZERO), (1 + MOST_ENDED, true));
    }
}
