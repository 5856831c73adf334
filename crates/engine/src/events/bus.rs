//! A ring of the last events and a broadcast channel, under one lock so that replay and stream join without gap or double.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use futures_util::StreamExt as _;
use jiff::Timestamp;
use tokio::sync::broadcast;

use super::{Event, EventKind, EventsOptions};
use crate::Stream;
use crate::error::Error;

/// Events kept for `since`, as Docker.
const MEMORY: usize = 256;
/// Events that a slow listener may lag behind before it loses some.
const BACKLOG: usize = 4096;

/// The engine's event bus.
pub(crate) struct Bus {
    memory: Mutex<VecDeque<Event>>,
    sender: broadcast::Sender<Event>,
}

impl Default for Bus {
    fn default() -> Self {
        Self { memory: Mutex::default(), sender: broadcast::channel(BACKLOG).0 }
    }
}

impl Bus {
    /// Tells everyone. Times never go back from one event to the next: who asks for what came since the last one that it
    /// has seen gets all of it.
    pub(crate) fn publish(&self, mut event: Event) {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = memory.back() {
            event.time = event.time.max(last.time);
        }
        if memory.len() == MEMORY {
            memory.pop_front();
        }
        memory.push_back(event.clone());
        // No listener is no failure.
        let _ = self.sender.send(event);
    }

    /// Tells of a prune's end.
    pub(crate) fn pruned(&self, kind: EventKind, bytes: u64) {
        self.publish(Event {
            kind,
            action: "prune".to_owned(),
            id: String::new(),
            attributes: [("reclaimed".to_owned(), bytes.to_string())].into(),
            time: Timestamp::now(),
        });
    }

    /// How many listen.
    pub(crate) fn listeners(&self) -> usize {
        self.sender.receiver_count()
    }

    /// Remembered events since `since` (all of them, when only `until` is given), then live ones, up to `until`; all
    /// that pass `wanted`. A listener that has lagged behind so far that it has lost some gets an error and the end.
    pub(crate) fn stream(
        &self,
        options: &EventsOptions,
        wanted: impl Fn(&Event) -> bool + Send + Sync + Clone + 'static,
    ) -> Stream<Event> {
        let (since, until) = (options.since, options.until);
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let in_time = move |event: &Event| until.is_none_or(|until| event.time <= until);
        let past: Vec<_> = memory
            .iter()
            .filter(|_| since.or(until).is_some())
            .filter(|event| since.is_none_or(|since| event.time >= since) && in_time(event) && wanted(event))
            .cloned()
            .collect();
        let receiver = self.sender.subscribe();
        drop(memory);
        let past = futures_util::stream::iter(past);
        if until.is_some_and(|until| until <= Timestamp::now()) {
            return past.map(Ok).boxed();
        }
        let live = futures_util::stream::unfold(Some(receiver), |receiver| async move {
            let mut receiver = receiver?;
            match receiver.recv().await {
                Ok(event) => Some((Ok(event), Some(receiver))),
                Err(broadcast::error::RecvError::Lagged(lost)) => Some((Err(too_slow(lost)), None)),
                Err(broadcast::error::RecvError::Closed) => None,
            }
        });
        let live = live.filter(move |event| std::future::ready(event.as_ref().map_or(true, &wanted)));
        past.map(Ok).chain(live.take_until(moment(until))).boxed()
    }
}

fn too_slow(lost: u64) -> Error {
    Error::unavailable(format!("the listener was too slow: {lost} events are lost to it"))
}

/// Completes at `until`, or never.
pub(crate) async fn moment(until: Option<Timestamp>) {
    match until {
        Some(until) => {
            let left = until.duration_since(Timestamp::now());
            tokio::time::sleep(std::time::Duration::try_from(left).unwrap_or_default()).await;
        }
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn event(action: &str) -> Event {
        Event {
            kind: EventKind::Container,
            action: action.to_owned(),
            id: "1".to_owned(),
            attributes: BTreeMap::new(),
            time: Timestamp::now(),
        }
    }

    #[tokio::test]
    async fn replay_and_live_events_join() {
        let bus = Bus::default();
        let since = Some(Timestamp::now());
        bus.publish(event("create"));
        let mut stream = bus.stream(&EventsOptions { since, ..EventsOptions::default() }, |_| true);
        bus.publish(event("start"));
        let mut seen = Vec::new();
        while seen.len() < 2 {
            seen.push(stream.next().await.unwrap().unwrap().action);
        }
        assert_eq!(seen, ["create", "start"]);
    }

    #[tokio::test]
    async fn an_until_in_the_past_shows_what_was_and_ends_the_stream() {
        let bus = Bus::default();
        bus.publish(event("create"));
        let options = EventsOptions { until: Some(Timestamp::now()), ..EventsOptions::default() };
        let mut stream = bus.stream(&options, |_| true);
        assert_eq!(stream.next().await.unwrap().unwrap().action, "create");
        assert!(stream.next().await.is_none());
    }

    #[tokio::test]
    async fn a_slow_listener_hears_that_it_has_lost_something() {
        let bus = Bus::default();
        let mut stream = bus.stream(&EventsOptions::default(), |_| true);
        for _ in 0..=BACKLOG {
            bus.publish(event("create"));
        }
        let error = stream.next().await.unwrap().unwrap_err();
        assert!(error.to_string().contains("1 events are lost"), "{error}");
        assert!(stream.next().await.is_none());
    }
}
