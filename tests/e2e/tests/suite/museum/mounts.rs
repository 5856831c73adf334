//! CVE-2025-52881 and CVE-2018-15664 by mounts: a container swaps directories of a volume for links to the host, while
//! other containers have something mounted below them.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Result, ensure};
use e2e::daemon::{Berth, IMAGE};
use rustix::fs::{CWD, RenameFlags};

/// Containers that are started meanwhile.
const STARTS: usize = 200;

#[test]
fn mounts_into_a_volume_whose_owner_swaps_links() -> Result<()> {
    let berth = Berth::start()?;
    let victim = berth.root().join("victim");
    std::fs::create_dir_all(victim.join("in"))?;
    std::fs::write(victim.join("file"), "untouched")?;
    berth.berth(["volume", "create", "shared"])?.ok()?;
    let volume = berth.berth(["volume", "inspect", "-f", "{{.Mountpoint}}", "shared"])?.ok()?;
    let volume = Path::new(&volume);
    for dir in ["d/in", "p/sys"] {
        std::fs::create_dir_all(volume.join(dir))?;
    }
    std::os::unix::fs::symlink(&victim, volume.join("l"))?;
    std::os::unix::fs::symlink("/proc", volume.join("q"))?;
    let pattern = std::fs::read("/proc/sys/kernel/core_pattern")?;
    let before = mounts()?;
    let (stop, swaps) = (AtomicBool::new(false), AtomicUsize::new(0));
    let outcome = std::thread::scope(|scope| {
        let swapper = scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                for (one, other) in [("d", "l"), ("p", "q")] {
                    let (one, other) = (volume.join(one), volume.join(other));
                    let done = rustix::fs::renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE);
                    swaps.fetch_add(usize::from(done.is_ok()), Ordering::Relaxed);
                }
            }
        });
        let outcome = (0..STARTS).try_for_each(|n| start(&berth, n));
        stop.store(true, Ordering::Relaxed);
        let _ = swapper.join();
        outcome
    });
    outcome?;
    ensure!(swaps.load(Ordering::Relaxed) > STARTS, "nothing raced: {swaps:?}");
    let mut names: Vec<_> = std::fs::read_dir(&victim)?.flatten().map(|entry| entry.file_name()).collect();
    names.sort();
    ensure!(names == ["file", "in"] && std::fs::read_dir(victim.join("in"))?.count() == 0, "{names:?}");
    ensure!(std::fs::read(victim.join("file"))? == b"untouched");
    ensure!(std::fs::read("/proc/sys/kernel/core_pattern")? == pattern);
    // no mount has gone astray; others on this machine may come and go
    let astray: Vec<String> = mounts()?
        .into_iter()
        .filter(|m| !before.contains(m) && m.contains(&*victim.to_string_lossy()))
        .collect();
    ensure!(astray.is_empty(), "{astray:?}");
    berth.finish()
}

/// One container with a tmpfs and a volume below the directories that are swapped, which it writes to. It may fail.
fn start(berth: &Berth, n: usize) -> Result<()> {
    let below = ["/s/d/in", "/s/d/new", "/s/p/sys"][n % 3];
    let nested = if n.is_multiple_of(2) {
        format!("type=tmpfs,dst={below}")
    } else {
        format!("type=volume,dst={below}")
    };
    let script = "echo pwned > /s/d/in/pwned; echo pwned > /s/d/file; echo '|/pwned' > /s/p/sys/kernel/core_pattern; true";
    let ran = berth.berth([
        "run",
        "--rm",
        "--network",
        "none",
        "--mount",
        "type=volume,src=shared,dst=/s",
        "--mount",
        &nested,
        IMAGE,
        "sh",
        "-c",
        script,
    ])?;
    ensure!(ran.code <= 128, "{ran:?}");
    Ok(())
}

/// This mount namespace's table, without the numbers.
fn mounts() -> Result<Vec<String>> {
    let text = std::fs::read_to_string("/proc/self/mountinfo")?;
    Ok(text.lines().map(|line| line.splitn(4, ' ').last().unwrap_or_default().to_owned()).collect())
}
