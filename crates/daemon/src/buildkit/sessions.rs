//! Clients' sessions, from their connection's first byte to its last.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use buildkit::grpc::Channel;
use buildkit::method::header;
use buildkit::session::{MAX_METHODS, MAX_NAME, Session};
use hyper::{HeaderMap, StatusCode};
use tokio::sync::watch;

use crate::error::{ApiError, Result};

/// Sessions that may be open at the same time.
const MAX_SESSIONS: usize = 1024;
/// How long a build waits for a session that its client is about to open.
const PATIENCE: Duration = Duration::from_secs(5);

/// The sessions that are open.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sessions {
    open: Arc<watch::Sender<HashMap<String, Slot>>>,
}

/// A session that was announced, and then greeted.
#[derive(Clone, Debug)]
enum Slot {
    Announced,
    Open(Session),
}

/// A place for a session; it is given back when this goes.
#[derive(Debug)]
pub(crate) struct Offer {
    sessions: Sessions,
    id: String,
    name: String,
    shared_key: String,
    methods: BTreeSet<String>,
}

impl Sessions {
    /// Takes a place for the session that a request's headers describe.
    pub(crate) fn offer(&self, headers: &HeaderMap) -> Result<Offer> {
        let text = |name: &str| {
            let value = headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
            if value.len() > MAX_NAME {
                return Err(ApiError::bad_request(format!("{name} is longer than {MAX_NAME} bytes")));
            }
            Ok(value.to_owned())
        };
        let id = text(header::SESSION_ID)?;
        if id.is_empty() {
            return Err(ApiError::bad_request(format!("{} is missing", header::SESSION_ID)));
        }
        let methods: BTreeSet<String> = headers
            .get_all(header::SESSION_METHOD)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .map(str::to_owned)
            .collect();
        if methods.len() > MAX_METHODS {
            return Err(ApiError::bad_request(format!("a session of more than {MAX_METHODS} methods")));
        }
        let (name, shared_key) = (text(header::SESSION_NAME)?, text(header::SESSION_SHARED_KEY)?);
        let mut refusal = None;
        self.open.send_if_modified(|open| {
            if open.contains_key(&id) {
                refusal = Some(ApiError::new(StatusCode::CONFLICT, format!("session {id} already exists")));
            } else if open.len() >= MAX_SESSIONS {
                let status = StatusCode::SERVICE_UNAVAILABLE;
                refusal = Some(ApiError::new(status, format!("{MAX_SESSIONS} sessions are open already")));
            } else {
                open.insert(id.clone(), Slot::Announced);
            }
            false
        });
        match refusal {
            Some(refusal) => Err(refusal),
            None => Ok(Offer { sessions: self.clone(), id, name, shared_key, methods }),
        }
    }

    /// A session by its id. Clients open it beside their build: one that is not there yet is waited for.
    pub(crate) async fn get(&self, id: &str) -> Option<Session> {
        let find = |open: &HashMap<String, Slot>| match open.get(id) {
            Some(Slot::Open(session)) => Some(session.clone()),
            _ => None,
        };
        let mut open = self.open.subscribe();
        let waited = tokio::time::timeout(PATIENCE, open.wait_for(|open| find(open).is_some())).await;
        waited.ok()?.ok().and_then(|open| find(&open))
    }

    /// Completes when a session that was open is so no longer.
    pub(crate) async fn lost(&self, id: &str) {
        let mut open = self.open.subscribe();
        // the sender lives in self
        let _ = open.wait_for(|open| matches!(open.get(id), Some(Slot::Open(_)))).await;
        let _ = open.wait_for(|open| !open.contains_key(id)).await;
    }
}

impl Offer {
    /// The other end has answered: builds may use the session, as long as the offer is kept.
    pub(crate) fn accept(self, channel: Channel) -> Self {
        let session = Session::new(
            self.id.clone(),
            self.name.clone(),
            self.shared_key.clone(),
            self.methods.clone(),
            channel,
        );
        self.sessions.open.send_modify(|open| {
            open.insert(self.id.clone(), Slot::Open(session));
        });
        self
    }
}

impl Drop for Offer {
    fn drop(&mut self) {
        self.sessions.open.send_modify(|open| {
            open.remove(&self.id);
        });
    }
}
