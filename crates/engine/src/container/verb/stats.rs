//! `stats`: what a container uses, once or again and again.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::time::Instant;

use super::wait::WaitCondition;
use crate::config::CgroupDriver;
use crate::container::mode::NetworkMode;
use crate::container::registry::Entry;
use crate::container::stats::{CpuSample, Meter, SHORTEST, SPAN, Sample};
use crate::container::task::blocking;
use crate::container::{Container, Running};
use crate::engine::Inner;
use crate::error::Result;
use crate::{Engine, Stream};

/// The rhythm of a stream of readings.
const TICK: Duration = Duration::from_secs(1);
/// Readers within this span share a reading.
const SHARED: Duration = Duration::from_millis(50);

/// A reading, and what came before it.
#[derive(Debug, Clone)]
pub struct Stats {
    /// The container.
    pub container: Arc<Container>,
    /// `None` = it does not run.
    pub sample: Option<Arc<Sample>>,
    /// The reading before, for the share of the processors.
    pub previous: Option<Arc<CpuSample>>,
}

impl Engine {
    /// What a container uses. With `one_shot` a single reading with nothing before it; else the processors' share is
    /// over what has passed since the last reading of anybody, if that is 0.2 to 2 s ago, and over 0.25 s otherwise.
    ///
    /// # Errors
    /// No such container.
    pub async fn container_stats_once(&self, name: &str, one_shot: bool) -> Result<Stats> {
        let entry = self.0.containers.find(name)?;
        let mut reader = Reader::new(self, entry);
        let Some(run) = reader.run() else { return Ok(reader.stats(None, None)) };
        if one_shot {
            let sample = reader.read(Duration::ZERO).await;
            return Ok(reader.stats(sample, None));
        }
        let slot = &reader.entry.stats;
        if let Some(previous) = slot.recent(run.started_at, SHORTEST) {
            let sample = reader.read(SHARED).await;
            return Ok(reader.stats(sample, Some(previous)));
        }
        let first = match slot.recent(run.started_at, Duration::ZERO) {
            Some(first) => Some(first),
            None => reader.read(SHARED).await.map(|sample| Arc::clone(&sample.cpu)),
        };
        let Some(first) = first else { return Ok(reader.stats(None, None)) };
        // a share needs two moments; all who asked at the same time wait for the same second one
        tokio::time::sleep_until(Instant::from_std(first.next())).await;
        let sample = reader.read(SHARED).await;
        Ok(reader.stats(sample, Some(first)))
    }

    /// A reading at once, and one every second, at the same moments for all readers; empty ones while the container
    /// does not run. Ends when it is removed.
    ///
    /// # Errors
    /// No such container.
    pub async fn container_stats(&self, name: &str) -> Result<Stream<Stats>> {
        let entry = self.0.containers.find(name)?;
        let removed = self.register(&entry, WaitCondition::Removed).await?;
        let reader = Reader::new(self, entry);
        let origin = self.0.machine.origin;
        let readings = futures_util::stream::unfold((reader, None, None), move |state| async move {
            let (mut reader, due, previous) = state;
            if let Some(due) = due {
                tokio::time::sleep_until(due).await;
            }
            let sample = reader.read(SHARED).await;
            let stats = reader.stats(sample, previous);
            let previous = stats.sample.as_ref().map(|sample| Arc::clone(&sample.cpu));
            Some((Ok(stats), (reader, Some(next_tick(origin)), previous)))
        });
        Ok(readings.take_until(removed.done()).boxed())
    }
}

/// The next moment of the rhythm that is far enough away.
fn next_tick(origin: Instant) -> Instant {
    let soonest = (Instant::now() + SPAN).duration_since(origin);
    let ticks = soonest.as_millis() / TICK.as_millis() + 1;
    origin + TICK * u32::try_from(ticks).unwrap_or(u32::MAX)
}

/// One who reads a container's counters, and holds its meter as long as it runs.
struct Reader {
    engine: Engine,
    entry: Arc<Entry>,
    meter: Option<Arc<Meter>>,
}

impl Reader {
    fn new(engine: &Engine, entry: Arc<Entry>) -> Self {
        Self { engine: engine.clone(), entry, meter: None }
    }

    fn run(&self) -> Option<Running> {
        self.entry.snapshot().state.running().cloned()
    }

    fn stats(&self, sample: Option<Arc<Sample>>, previous: Option<Arc<CpuSample>>) -> Stats {
        Stats { container: self.entry.snapshot(), sample, previous }
    }

    /// A reading that is at most `oldest` old; none when the container does not run, or ends meanwhile.
    async fn read(&mut self, oldest: Duration) -> Option<Arc<Sample>> {
        let container = self.entry.snapshot();
        // without a cgroup nothing is counted
        let run = container.state.running().filter(|_| self.engine.0.host.cgroups).cloned();
        let Some(run) = run else {
            self.meter = None;
            return None;
        };
        let held = self.meter.take().filter(|meter| meter.run() == run.started_at);
        let (engine, entry) = (Arc::clone(&self.engine.0), Arc::clone(&self.entry));
        // never closed
        let turn = self.engine.0.machine.turn.acquire().await.ok()?;
        let reading = blocking(move || {
            let meter = match held.or_else(|| entry.stats.meter(run.started_at)) {
                Some(meter) => meter,
                None => entry.stats.share(open(&engine, &container, run)?),
            };
            let owner = network_owner(&engine, container);
            let sample = meter.read(oldest, &engine.machine, &entry.stats, owner.as_deref())?;
            Ok((meter, sample))
        });
        let reading = reading.await;
        drop(turn);
        match reading {
            Ok((meter, sample)) => {
                let runs_on = self.run().is_some_and(|now| now.started_at == meter.run());
                self.meter = Some(meter);
                runs_on.then_some(sample)
            }
            Err(error) => {
                if self.run().is_some() {
                    tracing::warn!(container = %self.entry.id, %error, "what it uses could not be read");
                }
                None
            }
        }
    }
}

fn open(engine: &Inner, container: &Container, run: Running) -> Result<Meter> {
    let by_systemd = engine.config.cgroup_driver == CgroupDriver::Systemd;
    Meter::open(run, &engine.cgroup_path(container), by_systemd)
}

/// The container whose network a container uses: its own, or that which it joined.
fn network_owner(engine: &Inner, container: Arc<Container>) -> Option<Arc<Container>> {
    match NetworkMode::parse(&container.host.network_mode) {
        Ok(NetworkMode::Container(name)) => engine.containers.find(&name).ok().map(|entry| entry.snapshot()),
        Ok(_) => Some(container),
        Err(_) => None,
    }
}
