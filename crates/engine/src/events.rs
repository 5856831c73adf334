//! What happened: a bounded memory of events and a broadcast to those who listen.

mod bus;

pub(crate) use bus::{Bus, moment};

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::filters::Filters;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// What it happened to.
    pub kind: EventKind,
    /// `create`, `start`, `die`, `exec_start: sh`, …
    pub action: String,
    /// Id of the thing.
    pub id: String,
    /// Names, labels, exit codes.
    pub attributes: BTreeMap<String, String>,
    /// When.
    pub time: Timestamp,
}

/// What an event happened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// A container.
    Container,
    /// An image.
    Image,
    /// A network.
    Network,
    /// A volume.
    Volume,
    /// The daemon.
    Daemon,
    /// The build cache.
    Builder,
}

impl EventKind {
    /// Docker's word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Image => "image",
            Self::Network => "network",
            Self::Volume => "volume",
            Self::Daemon => "daemon",
            Self::Builder => "builder",
        }
    }
}

/// Which events are wanted.
#[derive(Debug, Clone, Default)]
pub struct EventsOptions {
    /// From this moment on, out of the engine's memory; `None` = from now.
    pub since: Option<Timestamp>,
    /// Up to this moment; `None` = for ever.
    pub until: Option<Timestamp>,
    /// `container daemon event image label network type volume scope …`.
    pub filters: Filters,
}
