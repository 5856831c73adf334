//! `logs`: what a container has written, and goes on writing.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use jiff::Timestamp;
use shim::log::{ReadOptions, Receive, Stopper};
use shim::protocol::LogRequest;
use tokio::sync::mpsc;

use super::attach::Source;
use super::wait::WaitCondition;
use crate::container::logging;
use crate::container::registry::Entry;
use crate::error::{Error, Result};
use crate::{Engine, Stream};

/// How many of the last lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Tail {
    /// All.
    #[default]
    All,
    /// The last so many.
    Lines(u64),
}

/// Which lines are wanted.
#[derive(Debug, Clone, Default)]
pub struct LogsOptions {
    /// Stay for what comes.
    pub follow: bool,
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
    /// From this moment on.
    pub since: Option<Timestamp>,
    /// Up to this moment.
    pub until: Option<Timestamp>,
    /// The last so many.
    pub tail: Tail,
}

/// One line (or part of a long one), its newline included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Where it comes from.
    pub source: Source,
    /// When it was written.
    pub time: Timestamp,
    /// The bytes.
    pub data: Bytes,
    /// `--log-opt labels/env/tag`, for `details`.
    pub attributes: BTreeMap<String, String>,
}

/// A container's log.
pub struct Logs {
    /// It has a terminal: entries go raw to the client.
    pub tty: bool,
    /// Its entries, as many at once as were at hand.
    pub entries: Stream<Vec<LogEntry>>,
}

/// Bytes of entries that are handed on at once, about.
const BATCH: usize = 64 << 10;
/// What an entry takes beside its bytes, about.
const ENTRY: usize = 64;
/// Batches that may wait for a slow reader.
const BACKLOG: usize = 4;

impl Engine {
    /// Reads a log.
    ///
    /// # Errors
    /// No such container; neither stream is wanted; its log driver can't be read.
    pub async fn container_logs(&self, name: &str, options: LogsOptions) -> Result<Logs> {
        if !options.stdout && !options.stderr {
            return Err(Error::bad_parameter("You must choose at least one stream"));
        }
        let entry = self.0.containers.find(name)?;
        let container = entry.snapshot();
        let log = logging::kept(&self.0, &container);
        if log.driver == "none" {
            return Err(Error::not_implemented("configured logging driver does not support reading"));
        }
        let follow = options.follow && container.state.is_running();
        let stopper = Arc::new(Stopper::new().map_err(|error| Error::because("follow log", error))?);
        let wanted = ReadOptions {
            since: options.since,
            until: options.until,
            tail: match options.tail {
                Tail::All => None,
                Tail::Lines(count) => Some(count),
            },
            follow,
        };
        if follow {
            self.finish_with(&entry, &stopper, options.until).await?;
        }
        let (sender, receiver) = mpsc::channel(BACKLOG);
        let reading = Reading { log, wanted, stopper: Arc::clone(&stopper), sender };
        let wants = move |source| match source {
            Source::Stdout => options.stdout,
            Source::Stderr => options.stderr,
        };
        // a thread of its own: a follower blocks as long as the container runs
        std::thread::Builder::new()
            .name("logs".to_owned())
            .spawn(move || reading.run(wants))
            .map_err(|error| Error::because("start reader", error))?;
        let guard = Abort(stopper);
        let entries = futures_util::stream::unfold((receiver, guard), |(mut receiver, guard)| async move {
            receiver.recv().await.map(|entry| (entry, (receiver, guard)))
        });
        Ok(Logs { tty: container.config.tty, entries: entries.boxed() })
    }

    /// A follower ends with the container's run, or at `until`.
    async fn finish_with(
        &self,
        entry: &Entry,
        stopper: &Arc<Stopper>,
        until: Option<Timestamp>,
    ) -> Result<()> {
        let waiter = self.register(entry, WaitCondition::NotRunning).await?;
        let stopper = Arc::downgrade(stopper);
        tokio::spawn(async move {
            tokio::select! {
                _ = waiter.done() => {}
                () = crate::events::moment(until) => {}
            }
            if let Some(stopper) = stopper.upgrade() {
                stopper.finish();
            }
        });
        Ok(())
    }
}

/// Ends the reader when nobody listens any more.
struct Abort(Arc<Stopper>);

impl Drop for Abort {
    fn drop(&mut self) {
        self.0.abort();
    }
}

struct Reading {
    log: LogRequest,
    wanted: ReadOptions,
    stopper: Arc<Stopper>,
    sender: mpsc::Sender<Result<Vec<LogEntry>>>,
}

impl Reading {
    fn run(self, wants: impl Fn(Source) -> bool) {
        let mut batch = Batch { wants, sender: &self.sender, entries: Vec::new(), size: 0 };
        let result = shim::log::read(&self.log, &self.wanted, Some(&self.stopper), &mut batch);
        // nobody may listen any more
        let _ = batch.idle();
        if let Err(error) = result {
            let _ = self.sender.blocking_send(Err(Error::because("read log", error)));
        }
    }
}

/// Collects entries: each on its own would cost more than its bytes.
struct Batch<'a, F> {
    wants: F,
    sender: &'a mpsc::Sender<Result<Vec<LogEntry>>>,
    entries: Vec<LogEntry>,
    size: usize,
}

impl<F: Fn(Source) -> bool> Receive for Batch<'_, F> {
    fn entry(&mut self, entry: shim::log::Entry) -> ControlFlow<()> {
        let source = match entry.stream {
            shim::log::Stream::Stdout => Source::Stdout,
            shim::log::Stream::Stderr => Source::Stderr,
        };
        if !(self.wants)(source) {
            return ControlFlow::Continue(());
        }
        self.size += entry.line.len() + ENTRY;
        let (time, data, attributes) = (entry.time, entry.line.into(), entry.attrs);
        self.entries.push(LogEntry { source, time, data, attributes });
        if self.size < BATCH { ControlFlow::Continue(()) } else { self.idle() }
    }

    fn idle(&mut self) -> ControlFlow<()> {
        if self.entries.is_empty() {
            return ControlFlow::Continue(());
        }
        self.size = 0;
        match self.sender.blocking_send(Ok(std::mem::take(&mut self.entries))) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }
}
