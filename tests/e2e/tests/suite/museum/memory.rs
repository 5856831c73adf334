//! Small things that ask for a lot of memory.

use std::io::Write;

use anyhow::{Context, Result, ensure};
use e2e::daemon::{Berth, IMAGE};
use e2e::image::Image;
use e2e::keep_alive::Connection;
use e2e::programs;

/// What an attack may add to a process's memory at most.
const BOUND: u64 = 128 << 20;

/// The most memory that a process has had, in bytes (`proc_pid_status(5)`).
fn peak(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse::<u64>()? << 10)
}

fn bounded(berth: &Berth, before: u64, what: &str) -> Result<()> {
    let grown = peak(berth.pid()?)?.saturating_sub(before);
    ensure!(grown < BOUND, "{what}: {} MiB more", grown >> 20);
    Ok(())
}

/// One block of a tar: a header of the old kind, with its sum.
fn header(name: &str, kind: u8, size: u64) -> Vec<u8> {
    let mut block = vec![0_u8; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[100..107].copy_from_slice(b"0000644");
    let digits = format!("{size:011o}");
    block[124..135].copy_from_slice(digits.as_bytes());
    block[156] = kind;
    block[257..265].copy_from_slice(b"ustar\x0000");
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    block
}

fn padded(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

/// A sparse file of the kind GNU 1.0, whose map says `entries` and has them all: two numbers each.
fn sparse(entries: u64) -> Vec<u8> {
    let mut map = format!("{entries}\n").into_bytes();
    for n in 0..entries {
        map.extend_from_slice(format!("{n}\n0\n").as_bytes());
    }
    let map = padded(map);
    let record = |key: &str, value: &str| {
        let body = format!(" {key}={value}\n");
        // the number counts its own digits, of which there are two
        format!("{}{body}", body.len() + 2)
    };
    let pax = [
        record("GNU.sparse.major", "1"),
        record("GNU.sparse.minor", "0"),
        record("GNU.sparse.name", "sparse"),
        record("GNU.sparse.realsize", "99"),
    ]
    .concat();
    let mut tar = header("pax", b'x', pax.len() as u64);
    tar.extend(padded(pax.into_bytes()));
    tar.extend(header("GNUSparseFile.0/sparse", b'0', map.len() as u64));
    tar.extend(map);
    tar.extend([0; 1024]);
    tar
}

/// CVE-2025-58183: a map of 20 million parts in what compresses to next to nothing.
#[test]
fn a_map_of_a_sparse_file_is_bounded() -> Result<()> {
    let berth = Berth::start()?;
    berth.berth(["create", "--name", "box", IMAGE])?.ok()?;
    let before = peak(berth.pid()?)?;
    let path = berth.root().join("sparse.tar");
    std::fs::write(&path, sparse(20_000_000))?;
    let packed = programs::run(std::process::Command::new("gzip").arg("-1").arg("-k").arg(&path))?;
    packed.ok()?;
    for path in [path.clone(), path.with_extension("tar.gz")] {
        let path = path.to_string_lossy();
        let ran = berth.berth(["import", &*path, "sparse:1"])?;
        ensure!(ran.code != 0, "it was taken: {ran:?}");
        bounded(&berth, before, "import")?;
    }
    let bytes = std::fs::read(path.with_extension("tar.gz"))?;
    let mut copy = berth.berth_command(["cp", "-", "box:/tmp"])?;
    let ran = programs::run_with(&mut copy, &bytes, programs::PATIENCE)?;
    ensure!(ran.code != 0, "it was taken: {ran:?}");
    bounded(&berth, before, "cp")?;
    berth.finish()
}

/// CVE-2026-47262: a gigabyte of groups, a hole on the disk, is read whole by who looks for a name.
#[test]
fn a_gigabyte_of_groups_is_bounded() -> Result<()> {
    let berth = Berth::start()?;
    let script = "for f in group passwd; do dd if=/dev/zero of=/etc/$f bs=1 count=1 seek=1073741824; done; exec sleep 1000";
    berth.berth(["run", "-d", "--name", "box", "--network", "none", IMAGE, "sh", "-c", script])?.ok()?;
    programs::eventually("the files are there", || {
        let ran = berth.berth(["exec", "box", "stat", "-c", "%s", "/etc/passwd", "/etc/group"])?;
        Ok((ran.stdout.matches("1073741825").count() == 2).then_some(()))
    })?;
    let before = peak(berth.pid()?)?;
    let shims = || -> Result<Vec<u32>> {
        let lines = e2e::leaks::processes(berth.root())?;
        let pids = lines.iter().filter(|line| line.contains("berth-shim"));
        Ok(pids.filter_map(|line| line.split(' ').next()?.parse().ok()).collect())
    };
    for user in ["app", "app:extra", "0:extra"] {
        let ran = berth.berth(["exec", "-u", user, "box", "true"])?;
        ensure!(ran.code != 0, "{user} was found in a file that is too large: {ran:?}");
    }
    // root needs no name: the container is not lost
    berth.berth(["exec", "box", "true"])?.ok()?;
    bounded(&berth, before, "exec")?;
    for shim in shims()? {
        ensure!(peak(shim)? < BOUND, "a shim: {} MiB", peak(shim)? >> 20);
    }
    // the same as the image's
    berth.berth(["commit", "box", "groups:1"])?.ok()?;
    let ran = berth.berth(["run", "--rm", "--network", "none", "-u", "app:extra", "groups:1", "true"])?;
    ensure!(ran.code != 0, "{ran:?}");
    bounded(&berth, before, "run")?;
    berth.finish()
}

/// JSON in JSON: a parser that calls itself runs out of stack, and one that keeps all runs out of memory.
#[test]
fn deep_json_is_bounded() -> Result<()> {
    let berth = Berth::start()?;
    let before = peak(berth.pid()?)?;
    let mut connection = Connection::open(berth.root())?;
    for open in ["[", "{\"a\":"] {
        let deep = open.repeat(1_000_000);
        let body = format!("{{\"Image\":\"{IMAGE}\",\"Labels\":{deep}");
        for path in ["/containers/create", "/networks/create", "/volumes/create"] {
            let reply = connection.ask("POST", path, body.as_bytes())?;
            ensure!(reply.status == 400, "{path}: {}", reply.status);
        }
    }
    bounded(&berth, before, "the API")?;
    // in an image's configuration, by load
    let config = Image::busybox()?.config("Labels", serde_json::json!({ "a": "b" }));
    let path = berth.root().join("deep.tar");
    config.save(&path, "deep:1")?;
    let mut bytes = std::fs::read(&path)?;
    let at = bytes.windows(9).position(|part| part == b"{\"a\":\"b\"}").context("no label")?;
    bytes[at..at + 9].copy_from_slice(b"[[[[[[[[[");
    std::fs::File::create(&path)?.write_all(&bytes)?;
    let ran = berth.berth(["load", "-i", &path.to_string_lossy()])?;
    ensure!(ran.code != 0, "{ran:?}");
    bounded(&berth, before, "load")?;
    berth.berth(["run", "--rm", IMAGE, "true"])?.ok()?;
    berth.finish()
}
