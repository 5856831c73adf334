//! Connections that wait for the next request to the same place.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::client::conn::http1::SendRequest;

use super::payload::Payload;
use crate::client::limits::{IDLE_TIME, MAX_IDLE};
use crate::client::url::Origin;

/// How long a connection that has just answered may take to be ready again before another is opened.
const READY: Duration = Duration::from_millis(100);

/// Which requests may share a connection: those to one place, with one trust and one identity, by one way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) origin: Origin,
    pub(super) trust: Trust,
    pub(super) proxy: Option<super::Proxy>,
}

/// TLS settings, equal when they are the same value in memory.
#[derive(Clone, Debug)]
pub(super) struct Trust(pub(super) Arc<rustls::ClientConfig>);

impl PartialEq for Trust {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Trust {}

impl Hash for Trust {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}

/// Takes requests, one after another.
pub(super) type Connection = SendRequest<Payload>;

#[derive(Default)]
pub(super) struct Pool {
    idle: Mutex<HashMap<Key, Vec<(Connection, Instant)>>>,
}

impl Pool {
    /// A connection that is ready.
    pub(super) async fn take(&self, key: &Key) -> Option<Connection> {
        loop {
            // the youngest is the least likely to be closed by the other side
            let (mut connection, since) = self.lock().get_mut(key)?.pop()?;
            if connection.is_closed() || since.elapsed() > IDLE_TIME {
                continue;
            }
            if let Ok(Ok(())) = tokio::time::timeout(READY, connection.ready()).await {
                return Some(connection);
            }
        }
    }

    /// Keeps a connection whose answer was read to its end.
    pub(super) fn put(self: &Arc<Self>, key: Key, connection: Connection) {
        if connection.is_closed() {
            return;
        }
        let mut idle = self.lock();
        let first = idle.values().all(Vec::is_empty);
        let list = idle.entry(key).or_default();
        if list.len() < MAX_IDLE {
            list.push((connection, Instant::now()));
        }
        drop(idle);
        if first {
            self.sweep_later();
        }
    }

    /// Closes what has waited too long, as long as there is something that waits. Ends with the pool.
    fn sweep_later(self: &Arc<Self>) {
        let pool = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(IDLE_TIME).await;
                let Some(pool) = pool.upgrade() else { return };
                let mut idle = pool.lock();
                idle.retain(|_, list| {
                    list.retain(|(connection, since)| !connection.is_closed() && since.elapsed() < IDLE_TIME);
                    !list.is_empty()
                });
                if idle.is_empty() {
                    return;
                }
            }
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Vec<(Connection, Instant)>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
