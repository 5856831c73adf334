//! What a Prometheus is told: requests by route, what happened to containers and images, and what the daemon is.
//!
//! Names are Docker's (`engine_daemon_…`) where it has them and they mean the same here; others begin with `berth_`.
//! Labels come from tables of ours, never from a client: there is no way to make more of them. A request costs one
//! lock and one look-up in a small map.

mod events;
mod histogram;
mod page;
mod server;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use api::Action;
use hyper::StatusCode;

pub(crate) use events::watch;
use histogram::Histogram;
pub(crate) use page::render;
pub(crate) use server::{listen, serve};

/// The path of the page, on the API's sockets and on the address of its own.
pub(crate) const PATH: &str = "/metrics";
/// The media type of the page, Prometheus's text format.
pub(crate) const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Kinds of events that are counted apart; those that come later are counted as others.
const MAX_EVENTS: usize = 256;

/// All that is counted.
#[derive(Default)]
pub(crate) struct Metrics {
    /// By route (`None`: no route of ours) and status.
    requests: Mutex<BTreeMap<(Option<usize>, u16), Histogram>>,
    /// Docker's container and network actions by name, those that succeeded.
    actions: Mutex<BTreeMap<(&'static str, &'static str), Histogram>>,
    /// By type and action.
    events: Mutex<BTreeMap<(&'static str, String), u64>>,
    denied: Mutex<BTreeMap<u16, u64>>,
}

/// Noun and name of what Docker measures.
fn measured(action: Action) -> Option<(&'static str, &'static str)> {
    Some(match action {
        Action::ContainerCreate => ("container", "create"),
        Action::ContainerStart => ("container", "start"),
        Action::ContainerDelete => ("container", "delete"),
        Action::ImageCommit => ("container", "commit"),
        Action::ContainerChanges => ("container", "changes"),
        Action::NetworkConnect => ("network", "connect"),
        _ => return None,
    })
}

impl Metrics {
    /// Notes a request that was answered with `status` after `time`; of a stream, that is when it began.
    pub(crate) fn request(&self, action: Option<Action>, status: StatusCode, time: Duration) {
        let key = (action.map(|action| action as usize), status.as_u16());
        locked(&self.requests).entry(key).or_default().observe(time);
        if let Some(name) = action.and_then(measured)
            && status.is_success()
        {
            locked(&self.actions).entry(name).or_default().observe(time);
        }
    }

    /// Notes a request that a plugin has refused, or that could not be judged.
    pub(crate) fn denied(&self, status: StatusCode) {
        *locked(&self.denied).entry(status.as_u16()).or_default() += 1;
    }

    /// Notes an event.
    fn event(&self, kind: &'static str, action: &str) {
        // `exec_create: sh -c …`, `health_status: healthy`
        let (name, rest) = action.split_once(':').unwrap_or((action, ""));
        let name = if name == "health_status" { format!("{name}:{rest}") } else { name.to_owned() };
        let mut events = locked(&self.events);
        let full = events.len() >= MAX_EVENTS && !events.contains_key(&(kind, name.clone()));
        let name = if full { "other".to_owned() } else { name };
        *events.entry((kind, name)).or_default() += 1;
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_can_t_make_labels_without_end() {
        let metrics = Metrics::default();
        for number in 0..2 * MAX_EVENTS {
            metrics.event("container", &format!("exec_create: {number}"));
            metrics.event("container", &format!("odd{number}"));
        }
        let events = locked(&metrics.events);
        assert!(events.len() <= MAX_EVENTS + 1);
        assert_eq!(events[&("container", "exec_create".to_owned())], 2 * MAX_EVENTS as u64);
        assert!(events[&("container", "other".to_owned())] > 0);
    }

    #[test]
    fn what_failed_is_no_action() {
        let metrics = Metrics::default();
        metrics.request(Some(Action::ContainerStart), StatusCode::NOT_FOUND, Duration::from_millis(1));
        assert!(locked(&metrics.actions).is_empty());
        metrics.request(Some(Action::ContainerStart), StatusCode::NO_CONTENT, Duration::from_millis(1));
        assert_eq!(locked(&metrics.actions).len(), 1);
        assert_eq!(locked(&metrics.requests).len(), 2);
    }
}
