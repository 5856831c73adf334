//! `blkio.*` (`admin-guide/cgroup-v1/blkio-controller.rst`).

use super::super::dir::Dir;
use super::super::{BlockIo, BlockIoEntry, BlockIoStats, Controller, DeviceRate, Error, Result};

pub(super) fn apply(dir: Option<&Dir>, io: &BlockIo) -> Result<()> {
    if *io == BlockIo::default() {
        return Ok(());
    }
    let missing =
        Error::NoController { controller: Controller::Blkio, setting: "a limit of block input and output" };
    let dir = dir.ok_or(missing)?;
    weights(dir, io)?;
    rates(dir, "blkio.throttle.read_bps_device", &io.read_bps)?;
    rates(dir, "blkio.throttle.write_bps_device", &io.write_bps)?;
    rates(dir, "blkio.throttle.read_iops_device", &io.read_iops)?;
    rates(dir, "blkio.throttle.write_iops_device", &io.write_iops)
}

/// The files of CFQ until Linux 4.20, of BFQ since; without either scheduler there are none.
fn weights(dir: &Dir, io: &BlockIo) -> Result<()> {
    write_weight(dir, ["blkio.bfq.weight", "blkio.weight"], io.weight.map(|weight| weight.to_string()))?;
    write_weight(dir, ["blkio.leaf_weight"; 2], io.leaf_weight.map(|weight| weight.to_string()))?;
    for entry in &io.weight_devices {
        let (major, minor) = entry.device;
        let line = |weight: u16| format!("{major}:{minor} {weight}");
        write_weight(dir, ["blkio.bfq.weight_device", "blkio.weight_device"], entry.weight.map(line))?;
        write_weight(dir, ["blkio.leaf_weight_device"; 2], entry.leaf_weight.map(line))?;
    }
    Ok(())
}

/// Writes to the first of `files` that the kernel has.
fn write_weight(dir: &Dir, files: [&str; 2], line: Option<String>) -> Result<()> {
    let Some(line) = line else { return Ok(()) };
    let reason = "the kernel has no block scheduler with weights (BFQ)";
    let missing = || Error::Unsupported { setting: "block device weight".to_owned(), reason };
    dir.write(files.into_iter().find(|file| dir.has(file)).ok_or_else(missing)?, line)
}

fn rates(dir: &Dir, file: &str, rates: &[DeviceRate]) -> Result<()> {
    rates.iter().try_for_each(|DeviceRate { device: (major, minor), rate }| {
        dir.write(file, format_args!("{major}:{minor} {rate}"))
    })
}

pub(super) fn stats(dir: &Dir) -> Result<BlockIoStats> {
    // The throttling layer counts everything; BFQ only what went through that scheduler.
    let entries = |names: [&str; 2]| -> Result<Vec<BlockIoEntry>> {
        for name in names {
            let found = parse(&dir.read_if_any(name)?.unwrap_or_default());
            if !found.is_empty() {
                return Ok(found);
            }
        }
        Ok(Vec::new())
    };
    Ok(BlockIoStats {
        service_bytes: entries([
            "blkio.bfq.io_service_bytes_recursive",
            "blkio.throttle.io_service_bytes_recursive",
        ])?,
        serviced: entries(["blkio.bfq.io_serviced_recursive", "blkio.throttle.io_serviced_recursive"])?,
        pressure: None,
    })
}

/// Lines like `8:0 Read 4096`; the sum over all devices (`Total 0`) is left out.
fn parse(text: &str) -> Vec<BlockIoEntry> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let (major, minor) = words.next()?.split_once(':')?;
            let (op, value) = (words.next()?, words.next()?);
            Some(BlockIoEntry {
                major: major.parse().ok()?,
                minor: minor.parse().ok()?,
                op: op.to_owned(),
                value: value.parse().ok()?,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters() {
        let text = "254:0 Read 4096\n254:0 Write 0\n254:0 Total 4096\nTotal 4096\n";
        let entries = parse(text);
        assert_eq!(entries.len(), 3);
        assert_eq!((entries[0].major, entries[0].minor, entries[0].value), (254, 0, 4096));
        assert_eq!(entries[0].op, "Read");
    }
}
