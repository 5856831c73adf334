//! `berth stats`

mod live;
mod row;

use std::io::Read;

use crate::client::Client;
use crate::command::{Arity, Command, Context};
use crate::error::{Error, Result};
use crate::flag::{Flag, Matches};
use crate::format::list::{self, Columns, Row};
use api::Action;
use api::container::{StatsResponse, Summary};

pub(crate) static COMMAND: Command = Command::new(
    "stats",
    "[OPTIONS] [CONTAINER...]",
    "Show what containers use, as it changes",
    Arity::Any,
    run,
)
.paths(&["container stats", "stats"])
.flags(&[&[
    Flag::bool("all", "Show stopped containers too").short('a'),
    Flag::format(),
    Flag::bool("no-stream", "Show one reading and end"),
    Flag::bool("no-trunc", "Don't shorten what is long"),
]]);

const COLUMNS: Columns = Columns {
    headers: &[
        ("BlockIO", "BLOCK I/O"),
        ("CPUPerc", "CPU %"),
        ("Container", "CONTAINER"),
        ("ID", "CONTAINER ID"),
        ("MemPerc", "MEM %"),
        ("MemUsage", "MEM USAGE / LIMIT"),
        ("Name", "NAME"),
        ("NetIO", "NET I/O"),
        ("PIDs", "PIDS"),
    ],
    default: "{{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}",
    kind: "*container.statsContext",
};

fn run(context: &Context<'_>, matches: &Matches) -> Result<()> {
    if !matches.bool("no-stream") {
        return live::run(context, matches);
    }
    let rows = readings(context.client()?, matches)?;
    list::print(context.out, matches.get("format"), &COLUMNS, &rows)
}

/// One reading of every container; all are asked before the first answer is awaited.
fn readings(client: &Client, matches: &Matches) -> Result<Vec<Row>> {
    let names = names(client, matches)?;
    let mut asked = Vec::new();
    for name in &names {
        asked.push(client.call(Action::ContainerStats, name).query("stream", "0").begin()?);
    }
    let mut rows = Vec::new();
    for (name, pending) in names.iter().zip(asked) {
        let mut text = Vec::new();
        match pending.finish() {
            Ok(mut incoming) => incoming
                .read_to_end(&mut text)
                .map_err(|error| Error::Transport(format!("the reading broke off: {error}")))?,
            // It was there when it was listed, and has gone since.
            Err(error) if error.is_not_found() && matches.args.is_empty() => continue,
            Err(error) => return Err(error),
        };
        let stats: StatsResponse = serde_json::from_slice(&text)
            .map_err(|error| Error::Transport(format!("the answer is not JSON: {error}")))?;
        rows.push(row::row(name, &stats, matches.bool("no-trunc")));
    }
    Ok(rows)
}

/// The containers that are meant: those named, or all that there are.
fn names(client: &Client, matches: &Matches) -> Result<Vec<String>> {
    if !matches.args.is_empty() {
        return Ok(matches.args.clone());
    }
    let containers: Vec<Summary> =
        client.call(Action::ContainerList, "").switch("all", matches.bool("all")).fetch()?;
    Ok(containers.into_iter().map(|container| container.id).collect())
}
