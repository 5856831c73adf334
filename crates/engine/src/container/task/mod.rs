//! One task per container: it alone changes the container's state. Verbs send it requests, its shim sends it events.

mod changes;
mod checkpoint;
mod end;
mod health;
mod links;
mod network;
mod removal;
mod requests;
mod run;
mod view;

pub(crate) use end::lost;
pub(crate) use health::{at_rest as health_at_rest, initial as initial_health};
pub(crate) use requests::shim_error;
pub(crate) use run::remove_shim_directory;

use std::sync::{Arc, Weak};
use std::time::Duration;

use shim::protocol::RestoreRequest;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::checkpoint::NewCheckpoint;
use super::policy::BackOff;
use super::record::{self, Durability};
use super::registry::Entry;
use super::verb::{RemoveOptions, Update, WaitCondition, WaitResult};
use super::view::View;
use crate::container::{Container, State};
use crate::engine::Inner;
use crate::error::{Error, Result};
use crate::events::{Event, EventKind};
use crate::network::Joining;
use crate::shim::{Events, ShimEvent, ShimHandle};

/// Where an answer goes.
pub(crate) type Reply<T> = oneshot::Sender<Result<T>>;

/// What a signal is meant for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// For the program: what it makes of it is its own.
    Program,
    /// A person ends the run: no policy follows.
    Stop,
    /// The machine goes: the run ends, and its policy decides when the machine is up again.
    MachineEnds,
}

/// What can be asked of a container's task.
pub(crate) enum Request {
    /// Start it.
    Start(Reply<()>),
    /// Start it from a checkpoint.
    Restore { restore: RestoreRequest, reply: Reply<()> },
    /// Write its processes to disk.
    Checkpoint { checkpoint: NewCheckpoint, reply: Reply<()> },
    /// Start the run that follows the policy, whatever of its delay is left.
    Restart(Reply<()>),
    /// Send a signal to its first process.
    Signal { signal: i32, meaning: Meaning, reply: Reply<()> },
    /// Freeze it. `recorded` = for a person, until unpaused; otherwise for work of the daemon's own, which a next
    /// daemon thaws again.
    Pause { recorded: bool, reply: Reply<()> },
    /// Thaw it.
    Unpause(Reply<()>),
    /// Register a wait.
    Wait { condition: WaitCondition, waiter: oneshot::Sender<WaitResult>, reply: Reply<()> },
    /// Remove it.
    Remove { options: RemoveOptions, reply: Reply<()> },
    /// Take another name, which is reserved already.
    Rename { name: String, reply: Reply<()> },
    /// Forget the link of this name.
    Unlink { alias: String, reply: Reply<()> },
    /// Take other limits.
    Update { update: Box<Update>, reply: Reply<Vec<String>> },
    /// Join one more network.
    Connect { joining: Box<Joining>, reply: Reply<()> },
    /// Leave the network of this name.
    Disconnect { network: String, reply: Reply<()> },
    /// Its files for a copy, shared while somebody has them in use.
    View(Reply<Arc<View>>),
    /// Its shim, made now if there is none: clients attach before the start.
    Shim(Reply<ShimHandle>),
    /// An end is (not) followed by removal and restarts: it is being restarted by hand.
    Hold { held: bool, reply: Reply<()> },
    /// A health probe ended.
    Probed { generation: u64, probe: crate::container::HealthProbe },
}

/// A container's task.
pub(crate) struct Task {
    pub(super) engine: Arc<Inner>,
    pub(super) entry: Arc<Entry>,
    pub(super) container: Container,
    pub(super) shim: Option<ShimHandle>,
    pub(super) events: Option<Events>,
    waiters: Vec<(WaitCondition, oneshot::Sender<WaitResult>)>,
    restart_at: Option<Instant>,
    back_off: BackOff,
    removal: Option<(RemoveOptions, Vec<Reply<()>>)>,
    /// The kernel killed something in this run for want of memory.
    oom: bool,
    prober: health::Prober,
    view: Weak<View>,
    held: bool,
    removed: bool,
}

impl Task {
    /// Adds a container to the registry and starts its task.
    pub(crate) fn spawn(
        engine: &Arc<Inner>,
        container: Container,
        shim: Option<(ShimHandle, Events)>,
    ) -> Arc<Entry> {
        let (entry, requests) = Entry::new(container.clone());
        let (shim, events) = shim.unzip();
        entry.set_shim(shim.clone());
        let mut task = Self {
            engine: Arc::clone(engine),
            entry: Arc::clone(&entry),
            container,
            shim,
            events,
            waiters: Vec::new(),
            restart_at: None,
            back_off: BackOff::default(),
            removal: None,
            oom: false,
            prober: health::Prober::default(),
            view: Weak::new(),
            held: false,
            removed: false,
        };
        if matches!(task.container.state, State::Running(_)) {
            task.start_probing();
        }
        engine.containers.insert(Arc::clone(&entry));
        tokio::spawn(task.run(requests));
        entry
    }

    async fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        let mut closing = self.engine.closing.subscribe();
        while !self.removed {
            tokio::select! {
                biased;
                () = closed(&mut closing) => return,
                // Boxed: a task at rest, and most are, has no room for the work that it may get.
                event = next_event(&mut self.events) => Box::pin(self.on_event(event)).await,
                request = requests.recv() => match request {
                    Some(request) => Box::pin(self.on_request(request)).await,
                    None => return,
                },
                () = at(self.restart_at) => Box::pin(self.on_restart()).await,
            }
        }
    }

    /// Makes a change durable and visible.
    pub(super) async fn commit(&mut self, durability: Durability) -> Result<()> {
        let (layout, container) = (self.engine.layout.clone(), self.container.clone());
        let durability = durability.of(&container);
        blocking(move || record::write(&layout, &container, durability)).await?;
        self.publish();
        Ok(())
    }

    /// Makes a change visible.
    pub(super) fn publish(&self) {
        self.entry.publish(self.container.clone());
    }

    /// As [`Task::commit`] for changes that have happened whether the disk likes it or not.
    pub(super) async fn commit_fact(&mut self, durability: Durability) {
        if let Err(error) = self.commit(durability).await {
            tracing::error!(container = %self.container.id, %error, "the record could not be written");
            self.publish();
        }
    }

    /// Tells those who listen.
    pub(super) fn tell(&self, action: &str, more: &[(&str, String)]) {
        self.engine.events.publish(event(&self.container, action, more));
    }

    /// Answers the waits that `which` names.
    pub(super) fn answer(&mut self, which: impl Fn(WaitCondition) -> bool) {
        let result = self.result();
        let (now, later) = std::mem::take(&mut self.waiters).into_iter().partition(|(what, _)| which(*what));
        self.waiters = later;
        let now: Vec<(WaitCondition, oneshot::Sender<WaitResult>)> = now;
        for (_, waiter) in now {
            // whoever waited may have gone
            let _ = waiter.send(result.clone());
        }
    }

    fn result(&self) -> WaitResult {
        let error = self.container.state.error();
        WaitResult {
            code: self.container.state.exit_code(),
            error: (!error.is_empty()).then(|| error.to_owned()),
        }
    }
}

/// A container's event, with its labels.
pub(crate) fn event(container: &Container, action: &str, more: &[(&str, String)]) -> Event {
    let mut attributes = container.config.labels.clone();
    attributes.insert("image".to_owned(), container.config.image.clone());
    attributes.insert("name".to_owned(), container.name.clone());
    attributes.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    Event {
        kind: EventKind::Container,
        action: action.to_owned(),
        id: container.id.clone(),
        attributes,
        time: jiff::Timestamp::now(),
    }
}

async fn next_event(events: &mut Option<Events>) -> ShimEvent {
    match events {
        Some(events) => events.next().await,
        None => std::future::pending().await,
    }
}

/// The engine lets go.
async fn closed(closing: &mut tokio::sync::watch::Receiver<bool>) {
    // a dropped sender is a closed engine, too
    let _ = closing.wait_for(|closing| *closing).await;
}

async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// Runs blocking work on the pool for it.
///
/// # Errors
/// The work's; or it panicked.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Error::because("internal task", error)),
    }
}

/// Shortest run that resets the back-off.
pub(super) const STEADY: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    /// There is one for every container, running or not.
    #[test]
    fn a_task_at_rest_is_small() {
        const fn size<A, B, F>(_: &impl Fn(A, B) -> F) -> usize {
            size_of::<F>()
        }
        let rest = size(&Task::run);
        assert!(
            rest < size_of::<Task>() + 2048,
            "a task takes {rest} bytes, {} of them its state",
            size_of::<Task>()
        );
    }
}
