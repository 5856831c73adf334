//! The daemon's own log: plain text on standard error.

use std::io::IsTerminal as _;

use tracing_subscriber::Registry;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt as _;

/// A handle by which the level can be changed later.
pub(crate) struct Logging(reload::Handle<LevelFilter, Registry>);

impl Logging {
    /// Begins to log. Colours are for terminals.
    pub(crate) fn start(level: LevelFilter, raw: bool) -> Self {
        let (filter, handle) = reload::Layer::new(level);
        let lines = tracing_subscriber::fmt::layer()
            .with_writer(std::io::stderr)
            .with_target(false)
            .with_ansi(!raw && std::io::stderr().is_terminal());
        // A second start (in tests) keeps the first.
        let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
        Self(handle)
    }

    /// Logs at another level from now on.
    pub(crate) fn set_level(&self, level: LevelFilter) {
        let _ = self.0.reload(level);
    }
}
