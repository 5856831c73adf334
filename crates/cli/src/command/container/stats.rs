//! `berth stats`

use std::io::Read;

use api::Action;
use api::container::{StatsResponse, Summary};
use rustix::event::Timespec;

use crate::client::Client;
use crate::command::{Arity, Command, Context};
use crate::error::{Error, Result};
use crate::flag::{Flag, Matches};
use crate::format::list::{self, Columns, Row, short_id};
use crate::format::units::{binary_size, with_precision};

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
    let client = context.client()?;
    let once = matches.bool("no-stream");
    loop {
        let rows = readings(client, matches)?;
        if !once && context.out.is_terminal() {
            context.out.text("\x1b[2J\x1b[H")?;
        }
        list::print(context.out, matches.get("format"), &COLUMNS, &rows)?;
        context.out.flush()?;
        if once {
            return Ok(());
        }
        // The rhythm of the display; the daemon's readings are a second apart.
        let second = Timespec { tv_sec: 1, tv_nsec: 0 };
        let _ = rustix::event::poll(&mut [], Some(&second));
    }
}

/// One reading of every container; all are asked before the first answer is awaited.
fn readings(client: &Client, matches: &Matches) -> Result<Vec<Row>> {
    let names: Vec<String> = if matches.args.is_empty() {
        let containers: Vec<Summary> =
            client.call(Action::ContainerList, "").switch("all", matches.bool("all")).fetch()?;
        containers.into_iter().map(|container| container.id).collect()
    } else {
        matches.args.clone()
    };
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
        rows.push(row(name, &stats, matches.bool("no-trunc")));
    }
    Ok(rows)
}

#[expect(clippy::cast_precision_loss, reason = "four digits are shown")]
fn row(name: &str, stats: &StatsResponse, whole: bool) -> Row {
    let memory = &stats.memory_stats;
    let cache = ["total_inactive_file", "inactive_file"].iter().find_map(|key| memory.stats.get(*key));
    let used =
        memory.usage.saturating_sub(*cache.filter(|cache| **cache < memory.usage).unwrap_or(&0)) as f64;
    let share = if memory.limit == 0 { 0.0 } else { used / memory.limit as f64 * 100.0 };
    let received: u64 = stats.networks.values().map(|network| network.rx_bytes).sum();
    let sent: u64 = stats.networks.values().map(|network| network.tx_bytes).sum();
    let pair = |one: u64, other: u64| {
        format!("{} / {}", with_precision(one as f64, 3), with_precision(other as f64, 3))
    };
    let id = if whole { stats.id.as_str() } else { short_id(&stats.id) };
    let (read, written) = block_io(stats);
    Row {
        fields: vec![
            ("BlockIO", pair(read, written)),
            ("CPUPerc", format!("{:.2}%", cpu_share(stats))),
            ("Container", name.to_owned()),
            ("ID", id.to_owned()),
            ("MemPerc", format!("{share:.2}%")),
            ("MemUsage", format!("{} / {}", binary_size(used), binary_size(memory.limit as f64))),
            ("Name", stats.name.trim_start_matches('/').to_owned()),
            ("NetIO", pair(received, sent)),
            ("PIDs", stats.pids_stats.current.to_string()),
        ],
        ..Row::default()
    }
}

fn block_io(stats: &StatsResponse) -> (u64, u64) {
    let entries = stats.blkio_stats.io_service_bytes_recursive.as_deref().unwrap_or_default();
    let sum = |letter: char| {
        entries
            .iter()
            .filter(|entry| entry.op.to_lowercase().starts_with(letter))
            .map(|entry| entry.value)
            .sum()
    };
    (sum('r'), sum('w'))
}

#[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
fn cpu_share(stats: &StatsResponse) -> f64 {
    let (now, before) = (&stats.cpu_stats, &stats.precpu_stats);
    let own = now.cpu_usage.total_usage as f64 - before.cpu_usage.total_usage as f64;
    let whole = now.system_cpu_usage as f64 - before.system_cpu_usage as f64;
    let count = if now.online_cpus == 0 {
        now.cpu_usage.percpu_usage.len() as f64
    } else {
        f64::from(now.online_cpus)
    };
    if whole > 0.0 && own > 0.0 { own / whole * count * 100.0 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares() {
        let mut stats = StatsResponse::default();
        stats.cpu_stats.cpu_usage.total_usage = 150;
        stats.precpu_stats.cpu_usage.total_usage = 100;
        stats.cpu_stats.system_cpu_usage = 1000;
        stats.cpu_stats.online_cpus = 2;
        assert!((cpu_share(&stats) - 10.0).abs() < 1e-9);
        stats.memory_stats.usage = 2 << 20;
        stats.memory_stats.limit = 4 << 20;
        let fields = row("x", &stats, false).fields;
        assert!(fields.contains(&("MemPerc", "50.00%".to_owned())));
        assert!(fields.contains(&("MemUsage", "2MiB / 4MiB".to_owned())));
    }
}
