//! `update`.

use std::io::Read;

use anyhow::{Context as _, Result, anyhow, bail};
use oci_spec::runtime::LinuxResources;
use runtime::resources::{Purpose, settings};
use serde_json::{Map, Value};

use super::{Command, Outcome};
use crate::cli::args::{Parsed, option};
use crate::cli::container::{Container, MAX_CONFIG};
use crate::cli::global::Global;

pub(super) const COMMAND: Command = Command {
    name: "update",
    usage: "ID",
    help: "change the limits of a container",
    flags: &[
        option("resources", "r", "FILE", "limits as JSON; \"-\" is stdin"),
        option("blkio-weight", "", "N", "block I/O weight, 10 to 1000"),
        option("cpu-period", "", "US", "period of the processor quota in microseconds"),
        option("cpu-quota", "", "US", "processor quota in a period; -1 for none"),
        option("cpu-burst", "", "US", "processor time that may be saved up"),
        option("cpu-share", "", "N", "processor weight against other containers"),
        option("cpu-idle", "", "N", "1: only when nothing else runs"),
        option("cpu-rt-period", "", "US", "period of the real-time quota"),
        option("cpu-rt-runtime", "", "US", "real-time quota in a period"),
        option("cpuset-cpus", "", "LIST", "processors"),
        option("cpuset-mems", "", "LIST", "memory nodes"),
        option("memory", "", "BYTES", "memory limit"),
        option("memory-reservation", "", "BYTES", "memory kept when memory is short"),
        option("memory-swap", "", "BYTES", "memory and swap together; -1 for no limit"),
        option("kernel-memory", "", "BYTES", "refused: Linux has no limit of kernel memory any more"),
        option("kernel-memory-tcp", "", "BYTES", "memory for TCP buffers"),
        option("pids-limit", "", "N", "processes; -1 for no limit"),
    ],
    interspersed: true,
    run,
};

/// The flags that are plain numbers: where they go in the specification.
const NUMBERS: [(&str, &str, &str); 9] = [
    ("blkio-weight", "blockIO", "weight"),
    ("cpu-period", "cpu", "period"),
    ("cpu-quota", "cpu", "quota"),
    ("cpu-burst", "cpu", "burst"),
    ("cpu-share", "cpu", "shares"),
    ("cpu-idle", "cpu", "idle"),
    ("cpu-rt-period", "cpu", "realtimePeriod"),
    ("cpu-rt-runtime", "cpu", "realtimeRuntime"),
    ("pids-limit", "pids", "limit"),
];
const SIZES: [(&str, &str); 5] = [
    ("memory", "limit"),
    ("memory-reservation", "reservation"),
    ("memory-swap", "swap"),
    ("kernel-memory", "kernel"),
    ("kernel-memory-tcp", "kernelTCP"),
];
const LISTS: [(&str, &str); 2] = [("cpuset-cpus", "cpus"), ("cpuset-mems", "mems")];

fn run(global: &Global, parsed: &Parsed) -> Outcome {
    let container = Container::load(&global.root, parsed.id()?)?;
    container.need_process()?;
    let resources = match parsed.get("resources") {
        Some(path) => read(path)?,
        None => from_flags(parsed)?,
    };
    let settings = settings(&resources, Purpose::Update)?;
    container.need_cgroup()?.apply(&settings)?;
    Ok(0)
}

fn read(path: &str) -> Result<LinuxResources> {
    let bytes = if path == "-" {
        sys::file::read_rest(std::io::stdin().by_ref(), MAX_CONFIG)
    } else {
        sys::file::read_bounded(path, MAX_CONFIG)
    };
    let bytes = bytes.with_context(|| format!("resources {path}"))?;
    serde_json::from_slice(&bytes).with_context(|| format!("resources {path}"))
}

fn from_flags(parsed: &Parsed) -> Result<LinuxResources> {
    let mut json = Map::new();
    let mut put = |part: &str, key: &str, value: Value| {
        let part = json.entry(part).or_insert_with(|| Value::Object(Map::new()));
        part[key] = value;
    };
    for (flag, part, key) in NUMBERS {
        if let Some(number) = parsed.number::<i64>(flag)? {
            put(part, key, number.into());
        }
    }
    for (flag, key) in SIZES {
        if let Some(text) = parsed.get(flag) {
            put("memory", key, size(text).with_context(|| format!("invalid value for {flag}"))?.into());
        }
    }
    for (flag, key) in LISTS {
        if let Some(list) = parsed.get(flag) {
            put("cpu", key, list.into());
        }
    }
    serde_json::from_value(Value::Object(json)).context("limits")
}

/// `512`, `512k`, `1.5g`, `-1`.
fn size(text: &str) -> Result<i64> {
    if text == "-1" {
        return Ok(-1);
    }
    let lower = text.to_ascii_lowercase();
    let bare = lower.strip_suffix('b').unwrap_or(&lower);
    let bare = bare.strip_suffix('i').unwrap_or(bare);
    let (number, shift) = match bare.char_indices().last() {
        Some((at, 'k')) => (&bare[..at], 10),
        Some((at, 'm')) => (&bare[..at], 20),
        Some((at, 'g')) => (&bare[..at], 30),
        Some((at, 't')) => (&bare[..at], 40),
        _ => (bare, 0),
    };
    let number: f64 = number.trim().parse().or(Err(anyhow!("{text}: not a size")))?;
    let bytes = number * (1u64 << shift) as f64;
    if !(0.0..9.2e18).contains(&bytes) {
        bail!("{text}: out of range");
    }
    Ok(bytes as i64)
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes() {
        assert_eq!(size("-1").unwrap(), -1);
        assert_eq!(size("4096").unwrap(), 4096);
        assert_eq!(size("512M").unwrap(), 512 << 20);
        assert_eq!(size("1.5g").unwrap(), 3 << 29);
        assert_eq!(size("2TiB").unwrap(), 2 << 40);
        assert_eq!(size("64kb").unwrap(), 65536);
        for bad in ["", "x", "12x", "-5", "nan", "1e30"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }
}
