//! `berth events`

use std::io::{BufRead, BufReader, Read};

use api::Action;
use api::events::EventMessage;

use crate::command::{Arity, Command, Context};
use crate::error::{Error, Result, reason};
use crate::flag::{Flag, Matches};
use crate::format::json::Json;
use crate::format::template::{Data, Format};
use crate::format::time;
use crate::opts::{filter, when};

pub(crate) static COMMAND: Command =
    Command::new("events", "[OPTIONS]", "Show what happens in the daemon, as it happens", Arity::None, run)
        .paths(&["system events", "events"])
        .flags(&[&[
            Flag::filter().short('f'),
            Flag::format_object_long(),
            Flag::string("since", "Begin with what has happened since this moment"),
            Flag::string("until", "End at this moment"),
        ]]);

/// The longest single event.
const LINE_LIMIT: u64 = 4 << 20;

fn run(context: &Context<'_>, matches: &Matches) -> Result<()> {
    let format = match matches.get("format") {
        "" => None,
        "json" => Some(Format::parse("{{json .}}")?),
        template => Some(Format::parse(template)?),
    };
    let moment = |name: &str| match matches.get(name) {
        "" => Ok(String::new()),
        text => {
            when::parse(text).map_err(|reason| Error::said(format!("invalid value for \"{name}\": {reason}")))
        }
    };
    let (_, incoming) = context
        .client()?
        .call(Action::SystemEvents, "")
        .given("since", &moment("since")?)
        .given("until", &moment("until")?)
        .given("filters", &filter::encode(&matches.all("filter")))
        .open()?;
    let mut incoming = BufReader::new(incoming);
    loop {
        let mut line = Vec::new();
        let count = incoming
            .by_ref()
            .take(LINE_LIMIT)
            .read_until(b'\n', &mut line)
            .map_err(|error| Error::Transport(format!("the events broke off: {}", reason(&error))))?;
        if count == 0 {
            return Ok(());
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        let not_json = |error: serde_json::Error| Error::Transport(format!("an event is not JSON: {error}"));
        let text = match &format {
            Some(format) => {
                let event: Json = serde_json::from_slice(&line).map_err(not_json)?;
                format.render(&Data::from_json(&event))?
            }
            None => describe(&serde_json::from_slice(&line).map_err(not_json)?),
        };
        context.out.now(format!("{text}\n").as_bytes())?;
    }
}

/// `TIME TYPE ACTION ID (key=value, …)`
fn describe(event: &EventMessage) -> String {
    let moment = if event.time_nano != 0 {
        time::rfc3339_nano_local(event.time_nano)
    } else {
        time::rfc3339_nano_local(event.time.saturating_mul(1_000_000_000))
    };
    let mut text = format!("{moment} {} {} {}", event.kind, event.action, event.actor.id);
    if !event.actor.attributes.is_empty() {
        let pairs: Vec<String> =
            event.actor.attributes.iter().map(|(key, value)| format!("{key}={value}")).collect();
        text.push_str(&format!(" ({})", pairs.join(", ")));
    }
    text
}
