//! Health checks: a prober beside a running container, its verdict in the container's state.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use jiff::Timestamp;
use tokio::task::AbortHandle;

use super::super::record::Durability;
use super::super::verb::{Attached, ExecConfig, ExecStart, ExecStarted};
use super::{Request, Task};
use crate::Engine;
use crate::container::{Container, ContainerConfig, Health, HealthProbe, HealthStatus, Healthcheck};
use crate::error::Result;

/// Docker's defaults.
const INTERVAL: Duration = Duration::from_secs(30);
const TIMEOUT: Duration = Duration::from_secs(30);
const START_INTERVAL: Duration = Duration::from_secs(5);
const RETRIES: u32 = 3;
/// Output of a probe that is kept, bytes.
const MOST_OUTPUT: usize = 4096;
/// Probes that are kept.
const MOST_PROBES: usize = 5;

/// The prober of one run.
#[derive(Default)]
pub(super) struct Prober {
    /// Grows with each run, so that a late probe of the last one is known.
    generation: u64,
    task: Option<AbortHandle>,
}

impl Prober {
    pub(super) fn stop(&mut self) {
        self.generation += 1;
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The check, if one is configured and not switched off.
fn check(config: &ContainerConfig) -> Option<&Healthcheck> {
    config.healthcheck.as_ref().filter(|check| check.test.len() > 1 && check.test[0] != "NONE")
}

/// Health at the start of a run. As in Docker the probes of the last run stay in the log.
pub(crate) fn initial(container: &Container) -> Option<Health> {
    check(&container.config)?;
    let log = container.health.clone().map(|health| health.log).unwrap_or_default();
    Some(Health { status: HealthStatus::Starting, failing_streak: 0, log })
}

/// Health of a container that has stopped.
pub(crate) fn at_rest(health: Health) -> Health {
    Health { status: HealthStatus::Unhealthy, ..health }
}

impl Task {
    pub(super) fn start_probing(&mut self) {
        self.prober.stop();
        let Some(check) = check(&self.container.config).cloned() else { return };
        let generation = self.prober.generation;
        let probing = Probing {
            engine: Engine(Arc::clone(&self.engine)),
            id: self.container.id.clone(),
            shell: self.container.config.shell.clone(),
            check,
            generation,
        };
        self.prober.task = Some(tokio::spawn(probing.run()).abort_handle());
    }

    pub(super) async fn on_probe(&mut self, generation: u64, probe: HealthProbe) {
        let Some(check) = check(&self.container.config).cloned() else { return };
        if generation != self.prober.generation {
            return;
        }
        let started = self.container.state.started_at();
        let Some(health) = &mut self.container.health else { return };
        let before = health.status;
        judge(health, probe, &check, started);
        let after = health.status;
        if after == before {
            self.publish();
            return;
        }
        self.commit_fact(Durability::Memory).await;
        self.tell(&format!("health_status: {}", after.name()), &[]);
    }
}

/// Puts a probe into the verdict.
fn judge(health: &mut Health, probe: HealthProbe, check: &Healthcheck, started: Option<Timestamp>) {
    let good = probe.exit_code == 0;
    let grace = Duration::from_nanos(check.start_period.unsigned_abs());
    let in_grace = health.status == HealthStatus::Starting
        && started.is_some_and(|started| probe.start.duration_since(started).unsigned_abs() < grace);
    if good {
        health.failing_streak = 0;
        health.status = HealthStatus::Healthy;
    } else if !in_grace {
        health.failing_streak += 1;
        let retries = u32::try_from(check.retries).ok().filter(|retries| *retries > 0).unwrap_or(RETRIES);
        if health.failing_streak >= retries {
            health.status = HealthStatus::Unhealthy;
        }
    }
    if health.log.len() == MOST_PROBES {
        health.log.remove(0);
    }
    health.log.push(probe);
}

struct Probing {
    engine: Engine,
    id: String,
    shell: Vec<String>,
    check: Healthcheck,
    generation: u64,
}

impl Probing {
    async fn run(self) {
        loop {
            let Ok(container) = self.engine.container_inspect(&self.id) else { return };
            tokio::time::sleep(self.interval(&container)).await;
            if container.state.is_paused() {
                continue;
            }
            let start = Timestamp::now();
            let (exit_code, output) = self.probe().await;
            let probe = HealthProbe { start, end: Timestamp::now(), exit_code, output };
            let Ok(entry) = self.engine.0.containers.find(&self.id) else { return };
            entry.tell(Request::Probed { generation: self.generation, probe }).await;
        }
    }

    /// Shorter while the container starts.
    fn interval(&self, container: &Container) -> Duration {
        let or = |nanoseconds: i64, default: Duration| match u64::try_from(nanoseconds) {
            Ok(0) | Err(_) => default,
            Ok(given) => Duration::from_nanos(given),
        };
        let grace = or(self.check.start_period, Duration::ZERO);
        let starting =
            container.health.as_ref().is_some_and(|health| health.status == HealthStatus::Starting);
        let young = container
            .state
            .started_at()
            .is_some_and(|at| Timestamp::now().duration_since(at).unsigned_abs() < grace);
        let interval = or(self.check.interval, INTERVAL);
        if starting && young { or(self.check.start_interval, START_INTERVAL).min(interval) } else { interval }
    }

    /// Exit code and output of one probe; -1 when it did not come to an end.
    async fn probe(&self) -> (i32, String) {
        let limit = match u64::try_from(self.check.timeout) {
            Ok(0) | Err(_) => TIMEOUT,
            Ok(given) => Duration::from_nanos(given),
        };
        match self.begin().await {
            Ok((exec, attached)) => match tokio::time::timeout(limit, read(attached)).await {
                Ok(output) => (self.code(&exec).await, output),
                Err(_) => {
                    self.engine.exec_kill(&exec, 9).await;
                    (-1, format!("Health check exceeded timeout ({})", human(limit)))
                }
            },
            Err(error) => (-1, error.to_string()),
        }
    }

    async fn begin(&self) -> Result<(String, Attached)> {
        let config = ExecConfig {
            cmd: command(&self.check.test, &self.shell),
            attach_stdout: true,
            attach_stderr: true,
            ..ExecConfig::default()
        };
        let exec = self.engine.exec_create(&self.id, config).await?;
        match self.engine.exec_start(&exec, ExecStart::default()).await? {
            ExecStarted::Attached(attached) => Ok((exec, attached)),
            ExecStarted::Detached => Err(crate::Error::system("the probe was started detached")),
        }
    }

    async fn code(&self, exec: &str) -> i32 {
        self.engine.exec_wait(exec).await.unwrap_or(-1)
    }
}

/// The program of a probe.
fn command(test: &[String], shell: &[String]) -> Vec<String> {
    match test.split_first() {
        Some((kind, rest)) if kind == "CMD-SHELL" => {
            let mut words =
                if shell.is_empty() { vec!["/bin/sh".to_owned(), "-c".to_owned()] } else { shell.to_vec() };
            words.extend(rest.first().cloned());
            words
        }
        Some((_, rest)) => rest.to_vec(),
        None => Vec::new(),
    }
}

async fn read(mut attached: Attached) -> String {
    let mut bytes = Vec::new();
    while let Some(Ok(chunk)) = attached.output.next().await {
        let chunk: Bytes = chunk.data;
        let room = MOST_OUTPUT.saturating_sub(bytes.len());
        bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn human(limit: Duration) -> String {
    if limit.subsec_nanos() == 0 {
        format!("{}s", limit.as_secs())
    } else {
        format!("{}ms", limit.as_millis())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_failures_make_it_unhealthy_and_one_success_healthy() {
        let mut health = Health { status: HealthStatus::Starting, failing_streak: 0, log: Vec::new() };
        let probe = |exit_code| HealthProbe {
            start: Timestamp::now(),
            end: Timestamp::now(),
            exit_code,
            output: String::new(),
        };
        let check = Healthcheck::default();
        for _ in 0..2 {
            judge(&mut health, probe(1), &check, None);
        }
        assert_eq!(health.status, HealthStatus::Starting);
        judge(&mut health, probe(1), &check, None);
        assert_eq!(health.status, HealthStatus::Unhealthy);
        judge(&mut health, probe(0), &check, None);
        assert_eq!((health.status, health.failing_streak), (HealthStatus::Healthy, 0));
    }
}
