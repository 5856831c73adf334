//! Ends of runs: what the shim tells, what follows.

use std::sync::atomic::Ordering;

use jiff::Timestamp;
use shim::protocol::{Event as Told, ExitRecord};
use tokio::time::Instant;

use super::super::policy;
use super::super::record::{self, Durability};
use super::super::verb::{RemoveOptions, WaitCondition};
use super::{STEADY, Task, blocking};
use crate::container::Exited;
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
        let directory = self.engine.layout.shim(&self.container.id);
        if self.container.state.running().is_some() {
            self.lost().await;
        }
        // Not before the end is on disk: to a daemon that finds neither, the machine has restarted.
        super::run::remove_shim_directory(&directory);
    }

    /// Takes what the killed shim may have told of the end of its run.
    async fn lost(&mut self) {
        let (engine, container) = (std::sync::Arc::clone(&self.engine), self.container.clone());
        let swept = blocking(move || {
            crate::recovery::kill_leftovers(&engine, &container);
            Ok(record::read_exit(&engine.layout, &container.id))
        })
        .await;
        let told = swept.ok().flatten().filter(|record| record.run == self.container.run);
        self.ended(told.unwrap_or_else(lost)).await;
    }

    /// The first process has ended.
    pub(super) async fn ended(&mut self, record: ExitRecord) {
        let Some(run) = self.container.state.running() else { return };
        let started_at = run.started_at;
        let lasted = record.at.duration_since(started_at);
        let code = record.code;
        self.prober.stop();
        if lasted.unsigned_abs() >= STEADY {
            self.back_off.reset();
        }
        let oom_killed = record.oom_killed || self.oom;
        let exit = Exited { oom_killed, started_at: Some(started_at), ..Exited::from(record) };
        policy::conclude(&mut self.container, exit);
        self.container.health = self.container.health.take().map(super::health::at_rest);
        self.engine.execs.container_ended(&self.container.id);
        self.container.exec_ids.clear();
        self.publish();
        let networks = self.container.network.networks.clone();
        self.give_back().await;
        let lasted = lasted.as_secs().max(0).to_string();
        self.tell("die", &[("exitCode", code.to_string()), ("execDuration", lasted)]);
        crate::volume::unmounted(&self.engine, &self.container);
        self.tell_networks("disconnect", &networks);
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

    /// A waiting removal, automatic removal, the next run, or rest.
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
        if self.container.state.is_restarting() && !self.engine.machine_ends.load(Ordering::Relaxed) {
            self.restart_at = Some(Instant::now() + self.back_off.next());
        }
        self.rest().await;
    }

    /// The end of a run, or of the wait for the next one, is on disk: whoever waits for it may know.
    pub(super) async fn rest(&mut self) {
        self.commit_fact(Durability::Disk).await;
        self.answer(|what| what != WaitCondition::Removed);
    }
}

impl From<ExitRecord> for Exited {
    fn from(record: ExitRecord) -> Self {
        Self {
            code: record.code,
            started_at: record.started_at,
            finished_at: Some(record.at),
            oom_killed: record.oom_killed,
            error: record.error.unwrap_or_default(),
        }
    }
}

/// The end of a container whose shim was killed.
pub(crate) fn lost() -> ExitRecord {
    ExitRecord {
        code: KILLED,
        signal: Some(9),
        oom_killed: false,
        started_at: None,
        at: Timestamp::now(),
        run: 0,
        error: Some("the container's shim ended unexpectedly; its processes were killed".to_owned()),
    }
}
