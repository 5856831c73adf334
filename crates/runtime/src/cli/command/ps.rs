//! `ps`: the processes in a container, read from `/proc`.

use anyhow::bail;

use super::list::align;
use super::{Command, Outcome, print};
use crate::cli::args::{Parsed, option};
use crate::cli::container::Container;
use crate::cli::global::Global;

/// Longest command line that is shown, in bytes.
const MAX_COMMAND: usize = 4096;

pub(super) const COMMAND: Command = Command {
    name: "ps",
    usage: "ID",
    help: "list the processes in a container",
    flags: &[option("format", "f", "FORMAT", "\"table\" (default) or \"json\"")],
    interspersed: true,
    run,
};

fn run(global: &Global, parsed: &Parsed) -> Outcome {
    // runc takes options of ps(1) after the id; what this table shows is fixed
    let id = parsed.words.first().map_or("", String::as_str);
    let container = Container::load(&global.root, id)?;
    let pids = container.need_cgroup()?.procs()?;
    let text = match parsed.get("format").unwrap_or("table") {
        "json" => serde_json::to_string(&pids)? + "\n",
        "table" => table(&pids),
        _ => {
            let fail = || -> anyhow::Result<u8> { bail!("invalid format option") };
            return Ok(fail()?);
        }
    };
    Ok(print(&text))
}

fn table(pids: &[i32]) -> String {
    let mut rows = vec![["UID", "PID", "PPID", "CMD"].map(str::to_owned)];
    // one that has ended meanwhile is not listed
    rows.extend(pids.iter().filter_map(|pid| row(*pid)));
    align(&rows)
}

fn row(pid: i32) -> Option<[String; 4]> {
    let read = |name: &str| {
        sys::file::read_rest(std::fs::File::open(format!("/proc/{pid}/{name}")).ok()?, 1 << 20).ok()
    };
    let status = String::from_utf8_lossy(&read("status")?).into_owned();
    let field = |name: &str| {
        let value = status.lines().find_map(|l| l.strip_prefix(name))?;
        value.split_whitespace().next().map(str::to_owned)
    };
    let mut command = read("cmdline")?;
    command.truncate(MAX_COMMAND);
    let words: Vec<_> =
        command.split(|b| *b == 0).filter(|w| !w.is_empty()).map(String::from_utf8_lossy).collect();
    let shown = if words.is_empty() { format!("[{}]", field("Name:")?) } else { words.join(" ") };
    Some([field("Uid:")?, pid.to_string(), field("PPid:")?, shown])
}
