//! `berth events`

use std::io::{BufRead, BufReader, Read};

use api::Action;
use api::events::EventMessage;

use crate::command::{Arity, Command, Context};
use crate::error::{Error, Result, TEMPLATE_FAULT, reason};
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
        template => Some(checked(template)?),
    };
    let moment = |name: &str| match matches.get(name) {
        "" => Ok(String::new()),
        text => when::parse(text).map_err(Error::said),
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
                format.render(data(&event))?
            }
            None => describe(&serde_json::from_slice(&line).map_err(not_json)?),
        };
        context.out.now(format!("{text}\n").as_bytes())?;
    }
}

/// A template that an event without any value fits: one with a wrong name is refused before any is waited for.
fn checked(template: &str) -> Result<Format> {
    let wrong =
        |error: Error| Error::Plain { code: TEMPLATE_FAULT, text: format!("Error parsing format: {error}") };
    let empty =
        br#"{"Type":"","Action":"","Actor":{"ID":"","Attributes":{}},"scope":"","time":0,"timeNano":0}"#;
    let empty: Json = serde_json::from_slice(empty).map_err(|error| Error::said(error.to_string()))?;
    let format = Format::parse(template).map_err(wrong)?;
    // Attributes differ from event to event.
    match format.render(data(&empty)) {
        Err(error) if !template.contains(".Attributes.") => Err(wrong(error)),
        _ => Ok(format),
    }
}

/// The event under the names that Docker's own templates have for its members.
fn data(event: &Json) -> Data {
    let names = [
        ("status", "Status"),
        ("id", "ID"),
        ("from", "From"),
        ("scope", "Scope"),
        ("time", "Time"),
        ("timeNano", "TimeNano"),
    ];
    Data::from_json(event).named(&names)
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
