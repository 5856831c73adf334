//! The daemon's own log on standard error: text, or JSON with the names that Docker's log has.

use std::fmt;
use std::io::IsTerminal as _;

use jiff::Timestamp;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Registry;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::LogForm;

/// A handle by which the level can be changed later.
pub(crate) struct Logging(reload::Handle<LevelFilter, Registry>);

impl Logging {
    /// Begins to log. Colours are for terminals.
    pub(crate) fn start(level: LevelFilter, form: LogForm) -> Self {
        let (filter, handle) = reload::Layer::new(level);
        let registry = tracing_subscriber::registry().with(filter);
        let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
        // A second start (in tests) keeps the first.
        let _ = match form {
            LogForm::Json => registry.with(lines.event_format(Json)).try_init(),
            LogForm::Text { raw } => {
                let colours = !raw && std::io::stderr().is_terminal();
                registry.with(lines.with_target(false).with_ansi(colours)).try_init()
            }
        };
        Self(handle)
    }

    /// Logs at another level from now on.
    pub(crate) fn set_level(&self, level: LevelFilter) {
        let _ = self.0.reload(level);
    }
}

/// An object a line: `level`, `msg`, `time`, and whatever else was said.
struct Json;

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        writeln!(writer, "{}", Value::Object(members(event)))
    }
}

fn members(event: &Event<'_>) -> Map<String, Value> {
    let mut members = Members(Map::new());
    event.record(&mut members);
    let level = match *event.metadata().level() {
        Level::ERROR => "error",
        // logrus's word
        Level::WARN => "warning",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    };
    members.0.insert("level".into(), level.into());
    members.0.insert("time".into(), Timestamp::now().to_string().into());
    members.0
}

struct Members(Map<String, Value>);

impl Members {
    fn put(&mut self, field: &Field, value: Value) {
        let name = if field.name() == "message" { "msg" } else { field.name() };
        self.0.insert(name.to_owned(), value);
    }
}

impl Visit for Members {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
}
