//! A reading as a line of the table, by Docker's formulas.

use api::container::StatsResponse;

use crate::format::list::{Row, short_id};
use crate::format::units::{binary_size, with_precision};

/// The line of a container that has not been read yet.
pub(super) fn waiting(name: &str) -> Row {
    let (none, pair) = ("--".to_owned(), "-- / --".to_owned());
    Row {
        fields: vec![
            ("BlockIO", pair.clone()),
            ("CPUPerc", none.clone()),
            ("Container", name.to_owned()),
            ("ID", none.clone()),
            ("MemPerc", none.clone()),
            ("MemUsage", pair.clone()),
            ("Name", none.clone()),
            ("NetIO", pair),
            ("PIDs", none),
        ],
        ..Row::default()
    }
}

/// The line of a reading; `name` as it was asked for.
#[expect(clippy::cast_precision_loss, reason = "four digits are shown")]
pub(super) fn row(name: &str, stats: &StatsResponse, whole: bool) -> Row {
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
