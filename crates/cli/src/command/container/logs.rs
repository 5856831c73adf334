//! `berth logs`

use std::io::Read;

use api::Action;
use api::container::InspectResponse;

use crate::command::{Arity, Command, Context};
use crate::error::{Error, Result, reason};
use crate::flag::{Flag, Matches};
use crate::opts::when;
use crate::session::demux::Sink;

pub(crate) static COMMAND: Command =
    Command::new("logs", "[OPTIONS] CONTAINER", "Show what a container has printed", Arity::Exactly(1), run)
        .paths(&["container logs", "logs"])
        .flags(&[&[
            Flag::bool("details", "Show what the log driver was told to note beside"),
            Flag::bool("follow", "Go on as the log grows").short('f'),
            Flag::string(
                "since",
                "Only what is younger than this moment (such as \"2013-01-02T13:23:37Z\") or span (\"42m\")",
            ),
            Flag::string("tail", "Only this many lines of the end").short('n').default("all"),
            Flag::bool("timestamps", "Show the time of each line").short('t'),
            Flag::string(
                "until",
                "Only what is older than this moment (such as \"2013-01-02T13:23:37Z\") or span (\"42m\")",
            ),
        ]]);

fn run(context: &Context<'_>, matches: &Matches) -> Result<()> {
    let moment = |name: &str| match matches.get(name) {
        "" => Ok(String::new()),
        text => {
            when::parse(text).map_err(|reason| Error::said(format!("invalid value for \"{name}\": {reason}")))
        }
    };
    let (since, until) = (moment("since")?, moment("until")?);
    let client = context.client()?;
    let container: InspectResponse = client.call(Action::ContainerInspect, matches.arg(0)).fetch()?;
    let (_, mut incoming) = client
        .call(Action::ContainerLogs, &container.id)
        .query("stdout", "1")
        .query("stderr", "1")
        .switch("follow", matches.bool("follow"))
        .switch("timestamps", matches.bool("timestamps"))
        .switch("details", matches.bool("details"))
        .given("since", &since)
        .given("until", &until)
        .query("tail", matches.get("tail"))
        .open()?;
    let mut sink = Sink::new(container.config.tty);
    let mut buffer = vec![0; 32 << 10];
    loop {
        let count = incoming
            .read(&mut buffer)
            .map_err(|error| Error::Transport(format!("the log broke off: {}", reason(&error))))?;
        if count == 0 {
            break;
        }
        sink.write(context.out, &buffer[..count])?;
    }
    sink.complaint().map_or(Ok(()), |text| Err(Error::Said(text)))
}
