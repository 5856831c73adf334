//! Builds that run, as those see them who ask for their progress.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use build::Cancel;
use build::progress::{Event, Listener};
use buildkit::Status;
use buildkit::proto::control::StatusResponse;
use futures_util::{Stream, stream};
use tokio::sync::watch;

use super::convert::Teller;

/// Longest name of a build.
const MAX_NAME: usize = 256;
/// Most messages that are kept of one build; a build that says more is told without its middle.
const MAX_MESSAGES: usize = 200_000;
/// How long one waits for a build that is about to begin.
const PATIENCE: Duration = Duration::from_secs(5);

/// A name for a build whose client has given it none.
pub(crate) fn name() -> String {
    static LAST: AtomicU64 = AtomicU64::new(0);
    format!("build-{}", LAST.fetch_add(1, Ordering::Relaxed))
}

/// The builds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Builds {
    running: Arc<watch::Sender<HashMap<String, Arc<Journal>>>>,
}

/// A build's place among those that run; given back when this goes.
#[derive(Debug)]
pub(crate) struct Running {
    builds: Builds,
    name: String,
    /// What it tells.
    pub(crate) journal: Arc<Journal>,
}

/// What a build has told so far.
#[derive(Debug)]
pub(crate) struct Journal {
    told: Mutex<Told>,
    /// How many messages there are, and whether there will be more.
    length: watch::Sender<(usize, bool)>,
    /// Gives the build up.
    pub(crate) cancel: Cancel,
}

#[derive(Debug, Default)]
struct Told {
    teller: Teller,
    messages: Vec<StatusResponse>,
}

impl Builds {
    /// Notes a build under its name.
    pub(crate) fn begin(&self, name: &str) -> Result<Running, Status> {
        if name.is_empty() || name.len() > MAX_NAME {
            return Err(Status::invalid_argument(format!("a build's ref has 1 to {MAX_NAME} bytes")));
        }
        let journal = Arc::new(Journal {
            told: Mutex::default(),
            length: watch::Sender::new((0, false)),
            cancel: Cancel::new(),
        });
        let began = self.running.send_if_modified(|running| {
            let free = !running.contains_key(name);
            if free {
                running.insert(name.to_owned(), Arc::clone(&journal));
            }
            free
        });
        if !began {
            return Err(Status::already_exists(format!("build {name} is running already")));
        }
        Ok(Running { builds: self.clone(), name: name.to_owned(), journal })
    }

    /// A build by its name. Clients ask for its progress beside starting it: one that isn't there yet is waited for.
    pub(crate) async fn get(&self, name: &str) -> Option<Arc<Journal>> {
        let mut running = self.running.subscribe();
        let waited =
            tokio::time::timeout(PATIENCE, running.wait_for(|running| running.contains_key(name))).await;
        waited.ok()?.ok().and_then(|running| running.get(name).cloned())
    }

    /// Gives a build up; whether there was one.
    pub(crate) fn cancel(&self, name: &str) -> bool {
        let journal = self.running.borrow().get(name).cloned();
        journal.inspect(|journal| journal.cancel.cancel()).is_some()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.journal.cancel.cancel();
        self.journal.length.send_modify(|(_, done)| *done = true);
        self.builds.running.send_modify(|running| {
            running.remove(&self.name);
        });
    }
}

impl Journal {
    fn lock(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// There will be no more.
    pub(crate) fn close(&self) {
        self.length.send_modify(|(_, done)| *done = true);
    }

    /// What is told, from the first message to the last.
    pub(crate) fn follow(self: &Arc<Self>) -> impl Stream<Item = StatusResponse> + Send + use<> {
        let state = (Arc::clone(self), self.length.subscribe(), 0);
        stream::unfold(state, |(journal, mut length, next)| async move {
            // the sender lives in the journal
            let _ = length.wait_for(|(count, done)| *count > next || *done).await;
            let message = merged(&journal.lock().messages[next..]);
            let (message, count) = message?;
            Some((message, (journal, length, next + count)))
        })
    }

    /// All that was told.
    pub(crate) fn messages(&self) -> Vec<StatusResponse> {
        self.lock().messages.clone()
    }

    /// How many vertices there were, and how they ended.
    pub(crate) fn counts(&self) -> super::convert::Counts {
        self.lock().teller.counts()
    }
}

/// Most messages that are sent as one.
const BATCH: usize = 64;

fn merged(messages: &[StatusResponse]) -> Option<(StatusResponse, usize)> {
    let count = messages.len().min(BATCH);
    let mut messages = messages.iter().take(count).cloned();
    let mut all = messages.next()?;
    for message in messages {
        all.vertexes.extend(message.vertexes);
        all.statuses.extend(message.statuses);
        all.logs.extend(message.logs);
        all.warnings.extend(message.warnings);
    }
    Some((all, count))
}

impl Listener for Journal {
    fn event(&self, event: Event) {
        let mut told = self.lock();
        let about_vertex = matches!(
            event,
            Event::Vertex(_) | Event::Started { .. } | Event::Completed { .. } | Event::Failed { .. }
        );
        if told.messages.len() >= MAX_MESSAGES && !about_vertex {
            return;
        }
        if let Some(message) = told.teller.tell(event) {
            told.messages.push(message);
        }
        let count = told.messages.len();
        drop(told);
        self.length.send_modify(|(length, _)| *length = count);
    }
}
