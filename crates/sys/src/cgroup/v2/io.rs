//! `io.*` (`cgroup-v2.rst`, "IO").

use super::super::dir::Dir;
use super::super::{BlockIo, BlockIoEntry, BlockIoStats, Controller, DeviceRate, Error, Pressure, Result};
use super::tree::Group;

pub(super) fn apply(group: &Group<'_>, io: &BlockIo) -> Result<()> {
    if *io == BlockIo::default() {
        return Ok(());
    }
    if io.leaf_weight.is_some() || io.weight_devices.iter().any(|entry| entry.leaf_weight.is_some()) {
        let reason = "cgroup v2 has no leaf weights";
        return Err(Error::Unsupported { setting: "block device leaf weight".to_owned(), reason });
    }
    let dir = group.need(Controller::Io, "a limit of block input and output")?;
    weights(dir, io)?;
    rates(dir, "rbps", &io.read_bps)?;
    rates(dir, "wbps", &io.write_bps)?;
    rates(dir, "riops", &io.read_iops)?;
    rates(dir, "wiops", &io.write_iops)
}

/// BFQ's own file takes v1's scale; `io.weight` (the cost model's) has a scale of 1–10,000.
fn weights(dir: &Dir, io: &BlockIo) -> Result<()> {
    let bfq = dir.has("io.bfq.weight");
    let (file, scale): (_, fn(u16) -> u64) =
        if bfq { ("io.bfq.weight", u64::from) } else { ("io.weight", scaled) };
    dir.write_some(file, io.weight.map(scale))?;
    for entry in &io.weight_devices {
        let (major, minor) = entry.device;
        if let Some(weight) = entry.weight.map(scale) {
            dir.write(file, format_args!("{major}:{minor} {weight}"))?;
        }
    }
    Ok(())
}

/// 10–1,000 as 1–10,000, the ends on the ends.
fn scaled(weight: u16) -> u64 {
    1 + u64::from(weight.clamp(10, 1000) - 10) * 9999 / 990
}

fn rates(dir: &Dir, key: &str, rates: &[DeviceRate]) -> Result<()> {
    for DeviceRate { device: (major, minor), rate } in rates {
        match rate {
            0 => dir.write("io.max", format_args!("{major}:{minor} {key}=max"))?,
            rate => dir.write("io.max", format_args!("{major}:{minor} {key}={rate}"))?,
        }
    }
    Ok(())
}

pub(super) fn stats(dir: &Dir) -> Result<BlockIoStats> {
    let pressure = dir.read_if_any("io.pressure")?.as_deref().map(Pressure::parse);
    Ok(BlockIoStats { pressure, ..usage(dir)? })
}

pub(super) fn usage(dir: &Dir) -> Result<BlockIoStats> {
    let mut stats = BlockIoStats::default();
    for line in dir.read_if_any("io.stat")?.unwrap_or_default().lines() {
        device(line, &mut stats);
    }
    Ok(stats)
}

/// A line like `254:0 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=0 dios=0`.
fn device(line: &str, stats: &mut BlockIoStats) -> Option<()> {
    let (device, words) = line.split_once(' ')?;
    let (major, minor) = device.split_once(':')?;
    let (major, minor) = (major.parse().ok()?, minor.parse().ok()?);
    for (key, value) in words.split_whitespace().filter_map(|word| word.split_once('=')) {
        let (list, op) = match key {
            "rbytes" => (&mut stats.service_bytes, "Read"),
            "wbytes" => (&mut stats.service_bytes, "Write"),
            "dbytes" => (&mut stats.service_bytes, "Discard"),
            "rios" => (&mut stats.serviced, "Read"),
            "wios" => (&mut stats.serviced, "Write"),
            "dios" => (&mut stats.serviced, "Discard"),
            _ => continue,
        };
        list.push(BlockIoEntry { major, minor, op: op.to_owned(), value: value.parse().ok()? });
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_of_weights() {
        assert_eq!((scaled(10), scaled(500), scaled(1000)), (1, 4950, 10_000));
    }

    #[test]
    fn counters() {
        let mut stats = BlockIoStats::default();
        device("254:0 rbytes=4096 wbytes=7 rios=1 wios=2 dbytes=0 dios=0", &mut stats).unwrap();
        assert_eq!(stats.service_bytes.len(), 3);
        assert_eq!((stats.serviced[1].op.as_str(), stats.serviced[1].value), ("Write", 2));
        assert_eq!(device("(unknown)", &mut stats), None);
    }
}
