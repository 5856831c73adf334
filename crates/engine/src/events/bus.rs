//! A ring of the last events and a broadcast channel, under one lock so that replay and stream join without gap or double.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use futures_util::StreamExt as _;
use jiff::Timestamp;
use tokio::sync::broadcast;

use super::{Event, EventsOptions};
use crate::Stream;

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
    /// Tells everyone.
    pub(crate) fn publish(&self, event: Event) {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        if memory.len() == MEMORY {
            memory.pop_front();
        }
        memory.push_back(event.clone());
        // No listener is no failure.
        let _ = self.sender.send(event);
    }

    /// How many listen.
    pub(crate) fn listeners(&self) -> usize {
        self.sender.receiver_count()
    }

    /// Remembered events since `since`, then live ones, up to `until`; all that pass `wanted`.
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
            .filter(|event| since.is_some_and(|since| event.time >= since) && in_time(event) && wanted(event))
            .cloned()
            .collect();
        let receiver = self.sender.subscribe();
        drop(memory);
        let past = futures_util::stream::iter(past);
        if until.is_some_and(|until| until <= Timestamp::now()) {
            return past.map(Ok).boxed();
        }
        let live = futures_util::stream::unfold(receiver, |mut receiver| async move {
            loop {
                match receiver.recv().await {
                    Ok(event) => return Some((event, receiver)),
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return None,
                }
            }
        });
        let live = live.filter(move |event| std::future::ready(wanted(event)));
        past.chain(live.take_until(moment(until))).map(Ok).boxed()
    }
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

    use super::super::EventKind;
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
    async fn an_until_in_the_past_ends_the_stream() {
        let bus = Bus::default();
        bus.publish(event("create"));
        let options = EventsOptions { until: Some(Timestamp::now()), ..EventsOptions::default() };
        assert!(bus.stream(&options, |_| true).next().await.is_none());
    }
}
