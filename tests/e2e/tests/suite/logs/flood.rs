//! A container that writes as fast as it can, and a client that follows it. `cargo xtask bench log` has the full length.

use std::io::Read as _;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use e2e::Berth;
use e2e::daemon::IMAGE;
use e2e::programs;

/// What following a flood may add to the daemon's memory, in KiB.
const MAY_GROW: u64 = 32 << 10;
/// What the client reads before the container is stopped, in bytes.
const READ: u64 = 150_000_000;

fn resident(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("no VmRSS")?;
    Ok(line.split_ascii_whitespace().nth(1).context("no figure")?.parse()?)
}

#[test]
fn a_followed_flood_neither_blocks_nor_grows_the_daemon() -> Result<()> {
    let berth = Berth::start()?;
    let (pid, line) = (berth.pid()?, "0123456789".repeat(10));
    let limits = ["--log-opt", "max-size=20m", "--log-opt", "max-file=3"];
    let start = ["run", "-d", "--name", "flood", "--network", "none"].into_iter().chain(limits);
    let id = berth.berth(start.chain([IMAGE, "yes", &line]))?.ok()?;
    let before = resident(pid)?;
    let mut client =
        berth.berth_command(["logs", "-f", "--tail", "0", "flood"])?.stdout(Stdio::piped()).spawn()?;
    let mut output = client.stdout.take().context("no output")?;
    let (mut buffer, mut read, mut most) = (vec![0; 1 << 20], 0, before);
    while read < READ {
        let count = output.read(&mut buffer)?;
        ensure!(count > 0, "the log ended after {read} bytes");
        read += count as u64;
        most = most.max(resident(pid)?);
    }
    let folder = berth.data_root().join("containers").join(&id);
    for entry in std::fs::read_dir(folder)? {
        let (name, size) = entry.and_then(|entry| Ok((entry.file_name(), entry.metadata()?.len())))?;
        ensure!(size <= 20_000_000 + 300, "{name:?} has {size} bytes");
    }
    berth.berth(["stop", "-t", "0", "flood"])?.ok()?;
    // the end comes by itself
    std::io::copy(&mut output, &mut std::io::sink())?;
    ensure!(programs::wait(&mut client, programs::PATIENCE)?.is_some_and(|status| status.success()));
    most = most.max(resident(pid)?);
    ensure!(most < before + MAY_GROW, "berthd has grown from {before} to {most} KiB");
    berth.finish()
}
