//! `list`.

use anyhow::bail;
use serde_json::Value;

use super::{Command, Outcome, print, state};
use crate::cli::args::{Parsed, option, switch};
use crate::cli::container::Container;
use crate::cli::global::Global;

pub(super) const COMMAND: Command = Command {
    name: "list",
    usage: "",
    help: "list containers",
    flags: &[
        option("format", "f", "FORMAT", "\"table\" (default) or \"json\""),
        switch("quiet", "q", "only ids"),
    ],
    interspersed: true,
    run,
};

fn run(global: &Global, parsed: &Parsed) -> Outcome {
    let all = Container::list(&global.root)?;
    if parsed.has("quiet") {
        return Ok(print(&all.iter().map(|c| format!("{}\n", c.state.id)).collect::<String>()));
    }
    let values: Vec<Value> = all.iter().map(|c| state::value(c, true)).collect();
    let text = match parsed.get("format").unwrap_or("table") {
        "json" => serde_json::to_string(&values)? + "\n",
        "table" => table(&values),
        _ => return invalid(),
    };
    Ok(print(&text))
}

fn invalid() -> Outcome {
    let fail = || -> anyhow::Result<u8> { bail!("invalid format option") };
    Ok(fail()?)
}

const COLUMNS: [(&str, &str); 6] = [
    ("ID", "id"),
    ("PID", "pid"),
    ("STATUS", "status"),
    ("BUNDLE", "bundle"),
    ("CREATED", "created"),
    ("OWNER", "owner"),
];

fn table(values: &[Value]) -> String {
    let cell = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut rows = vec![COLUMNS.map(|(title, _)| title.to_owned())];
    rows.extend(values.iter().map(|v| COLUMNS.map(|(_, key)| cell(&v[key]))));
    align(&rows)
}

/// Columns at least twelve wide with a blank between, as runc's.
pub(super) fn align<const N: usize>(rows: &[[String; N]]) -> String {
    const WIDTH: usize = 12;
    let width = |n: usize| rows.iter().map(|r| r[n].chars().count() + 1).max().unwrap_or(0).max(WIDTH);
    let widths: Vec<usize> = (0..N).map(width).collect();
    let line = |row: &[String; N]| {
        let cells: String = row.iter().zip(&widths).map(|(cell, w)| format!("{cell:<w$}")).collect();
        format!("{}\n", cells.trim_end())
    };
    rows.iter().map(line).collect()
}
