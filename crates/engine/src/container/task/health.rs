//! Health checks: a prober beside a running container, its verdict in the container's state.

use std::sync::Arc;
use std::time::Duration;

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
    /// No probe from now on; one that runs is killed with its [`Session`].
    pub(super) fn stop(&mut self) {
        self.generation += 1;
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

/// A probe's process: dropped before its end, it is killed.
struct Session {
    engine: Engine,
    exec: String,
    ended: bool,
}

impl Session {
    async fn end(&mut self) -> i32 {
        let code = self.engine.exec_wait(&self.exec).await;
        self.ended = true;
        code.unwrap_or(NO_CODE)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let (engine, exec) = (self.engine.clone(), std::mem::take(&mut self.exec));
        // without a runtime the daemon ends, and the shim kills the probe when its connection closes
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { engine.exec_kill(&exec, SIGKILL).await });
        }
    }
}

/// signal(7).
const SIGKILL: i32 = 9;

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
        self.engine.counters.probed(probe.exit_code == 0);
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
    let grace = duration(check.start_period, Duration::ZERO);
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
            let start = Timestamp::now();
            let (exit_code, output) = self.probe().await.unwrap_or_else(|error| (NO_CODE, error.to_string()));
            let probe = HealthProbe { start, end: Timestamp::now(), exit_code, output };
            let Ok(entry) = self.engine.0.containers.find(&self.id) else { return };
            entry.tell(Request::Probed { generation: self.generation, probe }).await;
        }
    }

    /// Another one while the container starts.
    fn interval(&self, container: &Container) -> Duration {
        let starting =
            container.health.as_ref().is_some_and(|health| health.status == HealthStatus::Starting);
        let grace = duration(self.check.start_period, Duration::ZERO);
        let young = container
            .state
            .started_at()
            .is_some_and(|at| Timestamp::now().duration_since(at).unsigned_abs() < grace);
        if starting && young {
            duration(self.check.start_interval, START_INTERVAL)
        } else {
            duration(self.check.interval, INTERVAL)
        }
    }

    /// Exit code and output of one probe. The time until its program runs is not the program's.
    async fn probe(&self) -> Result<(i32, String)> {
        let (exec, mut attached) = self.begin().await?;
        let mut session = Session { engine: self.engine.clone(), exec, ended: false };
        let mut output = Output::default();
        let limit = duration(self.check.timeout, TIMEOUT);
        let ended = async {
            output.read(&mut attached).await;
            session.end().await
        };
        if let Ok(code) = tokio::time::timeout(limit, ended).await {
            return Ok((code, output.text()));
        }
        self.engine.exec_kill(&session.exec, SIGKILL).await;
        // dying probes don't pile up
        session.end().await;
        let mut text = format!("Health check exceeded timeout ({})", human(limit));
        if !output.is_empty() {
            text = format!("{text}: {}", output.text());
        }
        Ok((NO_CODE, text))
    }

    async fn begin(&self) -> Result<(String, Attached)> {
        let config = ExecConfig {
            cmd: command(&self.check.test, &self.shell),
            attach_stdout: true,
            attach_stderr: true,
            bound: true,
            ..ExecConfig::default()
        };
        let exec = self.engine.exec_create(&self.id, config).await?;
        match self.engine.exec_start(&exec, ExecStart::default()).await? {
            ExecStarted::Attached(attached) => Ok((exec, attached)),
            ExecStarted::Detached => Err(crate::Error::system("the probe was started detached")),
        }
    }
}

/// The exit code of a probe that did not come to an end of its own.
const NO_CODE: i32 = -1;

/// Nanoseconds; 0 is the default.
fn duration(nanoseconds: i64, default: Duration) -> Duration {
    match u64::try_from(nanoseconds) {
        Ok(0) | Err(_) => default,
        Ok(given) => Duration::from_nanos(given),
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

/// The beginning of what a probe writes.
#[derive(Default)]
struct Output {
    bytes: Vec<u8>,
    truncated: bool,
}

impl Output {
    /// Reads to the end.
    async fn read(&mut self, attached: &mut Attached) {
        while let Some(Ok(chunk)) = attached.output.next().await {
            self.add(&chunk.data);
        }
    }

    fn add(&mut self, chunk: &[u8]) {
        let kept = chunk.len().min(MOST_OUTPUT - self.bytes.len());
        self.bytes.extend_from_slice(&chunk[..kept]);
        self.truncated |= kept < chunk.len();
    }

    fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    fn text(&self) -> String {
        let dots = if self.truncated { "..." } else { "" };
        format!("{}{dots}", String::from_utf8_lossy(&self.bytes))
    }
}

/// A duration as Go writes it, to the millisecond.
fn human(limit: Duration) -> String {
    let milliseconds = limit.as_millis();
    let (hours, minutes) = (milliseconds / 3_600_000, milliseconds / 60_000 % 60);
    let seconds = format!("{}.{:03}", milliseconds / 1000 % 60, milliseconds % 1000);
    let seconds = seconds.trim_end_matches('0').trim_end_matches('.');
    match (hours, minutes) {
        (0, 0) if milliseconds < 1000 => format!("{milliseconds}ms"),
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m{seconds}s"),
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

    #[test]
    fn the_beginning_of_the_output_is_kept() {
        let mut output = Output::default();
        output.add(&[b'x'; MOST_OUTPUT - 1]);
        output.add(b"yz");
        output.add(b"more");
        assert_eq!(output.text().len(), MOST_OUTPUT + 3);
        assert!(output.text().ends_with("xy..."));
    }

    #[test]
    fn durations_are_written_as_go_writes_them() {
        for (milliseconds, text) in
            [(20, "20ms"), (1000, "1s"), (1500, "1.5s"), (90_000, "1m30s"), (3_600_000, "1h0m0s")]
        {
            assert_eq!(human(Duration::from_millis(milliseconds)), text);
        }
    }
}
