//! Ends of runs: what the shim tells, what follows.

use std::time::Duration;

use jiff::Timestamp;
use shim::protocol::{Event as Told, ExitRecord};
use tokio::time::Instant;

use super::super::policy;
use super::super::record::{self, Durability};
use super::super::verb::{RemoveOptions, WaitCondition};
use super::{STEADY, Task, blocking};
use crate::container::{Exited, State};
use crate::shim::ShimEvent;

/// Exit code of what was killed (128 + SIGKILL).
const KILLED: i32 = 137;

impl Task {
    pub(super) async fn on_event(&mut self, event: ShimEvent) {
        match event {
            ShimEvent::Told(Told::Exited(record)) => self.ended(record).await,
            ShimEvent::Told(Told::ExecExited { exec_id, code }) => {
                let engine = &self.engine;
                if engine.execs.ended(&exec_id, code) {
                    self.tell("exec_die", &[("execID", exec_id), ("exitCode", code.to_string())]);
                }
                self.container.exec_ids = self.engine.execs.of(&self.container.id);
                self.publish();
            }
            ShimEvent::Told(Told::OomKilled) => {
                self.oom = true;
                self.tell("oom", &[]);
            }
            ShimEvent::Told(Told::Detached { exec_id, .. }) => match exec_id {
                Some(id) => {
                    self.engine.execs.detached(&id);
                    self.tell("exec_detach", &[("execID", id)]);
                }
                None => self.tell("detach", &[]),
            },
            ShimEvent::Gone => self.shim_gone().await,
        }
    }

    /// The connection has ended without word of an exit: the shim was killed, and its container with it.
    async fn shim_gone(&mut self) {
        self.entry.set_shim(None);
        self.events = None;
        self.shim = None;
        super::run::remove_shim_directory(&self.engine.layout.shim(&self.container.id));
        if self.container.state.running().is_none() {
            return;
        }
        let (engine, container) = (std::sync::Arc::clone(&self.engine), self.container.clone());
        let swept = blocking(move || {
            crate::recovery::kill_leftovers(&engine, &container);
            Ok(record::read_exit(&engine.layout, &container.id))
        })
        .await;
        let record = swept.ok().flatten().unwrap_or_else(lost);
        self.ended(record).await;
    }

    /// The first process has ended.
    pub(super) async fn ended(&mut self, record: ExitRecord) {
        let Some(run) = self.container.state.running() else { return };
        let steady = Timestamp::now().duration_since(run.started_at).unsigned_abs() >= STEADY;
        let exit = Exited {
            code: record.code,
            started_at: Some(run.started_at),
            finished_at: Some(record.at),
            oom_killed: record.oom_killed || self.oom,
            error: record.error.unwrap_or_default(),
        };
        self.prober.stop();
        if steady {
            self.back_off.reset();
        }
        let lasted = Timestamp::now().duration_since(run.started_at).as_secs();
        self.container.state = State::Exited(exit);
        self.container.health = self.container.health.take().map(super::health::at_rest);
        self.engine.execs.container_ended(&self.container.id);
        self.container.exec_ids.clear();
        self.give_back().await;
        self.tell("die", &[("exitCode", record.code.to_string()), ("execDuration", lasted.to_string())]);
        self.after_end().await;
    }

    /// Network, cgroup, shim: all that a run holds.
    async fn give_back(&mut self) {
        self.container.network = crate::network::at_rest(&self.container.network);
        let (engine, id) = (std::sync::Arc::clone(&self.engine), self.container.id.clone());
        let detach = blocking(move || crate::network::detach(&engine, &id));
        let (detached, ()) = tokio::join!(detach, self.drop_shim());
        if let Err(error) = detached {
            tracing::warn!(container = %self.container.id, %error, "the network was not given back whole");
        }
    }

    /// A waiting removal, the restart policy, or rest.
    async fn after_end(&mut self) {
        if let Some((options, replies)) = self.removal.take() {
            self.publish();
            self.answer(|what| what != WaitCondition::Removed);
            let result = self.remove_now(options).await.map_err(|error| (error.kind(), error.to_string()));
            for reply in replies {
                let result = result.clone().map_err(|(kind, text)| crate::Error::system(text).of_kind(kind));
                super::requests::send(reply, result);
            }
            return;
        }
        if self.container.host.auto_remove && !self.held {
            self.publish();
            self.answer(|what| what != WaitCondition::Removed);
            if let Err(error) = self.remove_now(RemoveOptions { volumes: true, ..Default::default() }).await {
                tracing::error!(container = %self.container.id, %error, "automatic removal failed");
            }
            return;
        }
        let delay = self.back_off.next();
        self.consider_restart(delay).await;
    }

    /// Plans a restart if the policy wants one; otherwise the container rests.
    pub(super) async fn consider_restart(&mut self, delay: Duration) {
        let container = &mut self.container;
        let again = policy::restarts(
            container.host.restart_policy,
            container.state.exit_code(),
            container.stopped_by_hand,
            container.restart_count,
        );
        if again && let State::Exited(exit) = &container.state {
            container.state = State::Restarting(exit.clone());
            self.restart_at = Some(Instant::now() + delay);
        }
        self.commit_fact(Durability::Disk).await;
        let resting = !self.container.state.is_running();
        self.answer(|what| match what {
            WaitCondition::NotRunning => resting,
            WaitCondition::NextExit => true,
            WaitCondition::Removed => false,
        });
    }
}

/// The end of a container whose shim was killed.
pub(crate) fn lost() -> ExitRecord {
    ExitRecord {
        code: KILLED,
        signal: Some(9),
        oom_killed: false,
        at: Timestamp::now(),
        error: Some("the container's shim ended unexpectedly; its processes were killed".to_owned()),
    }
}
