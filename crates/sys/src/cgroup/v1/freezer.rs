//! `freezer.state` (`admin-guide/cgroup-v1/freezer-subsystem.rst`), for hosts without `cgroup.freeze`.

use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use rustix::process::{Pid, PidfdFlags};

use super::super::dir::{Dir, gone};
use super::super::{Controller, Error, Result, events};

/// Between two looks at `freezer.state`, which has no event.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// A short wait for what the kernel doesn't announce.
pub(super) fn pause() {
    let _ = rustix::event::poll(&mut [], rustix::event::Timespec::try_from(LOOK_AGAIN).ok().as_ref());
}

pub(super) fn freeze(dir: Option<&Dir>, limit: Duration) -> Result<()> {
    let missing = Error::NoController { controller: Controller::Freezer, setting: "pause" };
    let dir = dir.ok_or(missing)?;
    let end = Instant::now() + limit;
    // Each write makes the kernel try again: a process that forks while it is frozen can leave a
    // child behind that runs.
    while !try_freeze(dir)? {
        if Instant::now() >= end {
            thaw(dir)?;
            return Err(Error::NotFrozen {
                path: dir.path().display().to_string(),
                seconds: limit.as_secs(),
            });
        }
        pause();
    }
    Ok(())
}

/// Asks once; `true` when all stand still already.
pub(super) fn try_freeze(dir: &Dir) -> Result<bool> {
    dir.write("freezer.state", "FROZEN")?;
    Ok(dir.read("freezer.state")?.trim_end() == "FROZEN")
}

pub(super) fn thaw(dir: &Dir) -> Result<()> {
    dir.write("freezer.state", "THAWED")
}

pub(super) fn is_frozen(dir: &Dir) -> Result<bool> {
    Ok(dir.read("freezer.state")?.trim_end() != "THAWED")
}

/// Waits for the members of a v1 directory one by one: v1 has no event for "empty".
pub(super) fn wait_empty(dir: &Dir, limit: Duration) -> Result<()> {
    let end = Instant::now() + limit;
    loop {
        let Some(pid) = first_member(dir)? else { return Ok(()) };
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(events::not_empty(dir, limit));
        }
        wait_exit(pid, left.min(Duration::from_secs(1)))?;
    }
}

fn first_member(dir: &Dir) -> Result<Option<i32>> {
    let mut found = None;
    let walked = dir.walk(&mut |dir| {
        found = found.or(dir.procs()?.first().copied());
        Ok(())
    });
    match walked {
        Err(err) if gone(&err) => Ok(None),
        other => other.map(|()| found),
    }
}

/// Waits for one process; one that has exited but still is a member gets a short pause.
fn wait_exit(pid: i32, limit: Duration) -> Result<()> {
    let pidfd = Pid::from_raw(pid).and_then(|pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok());
    let fail = |errno| Error::io("wait for", format!("process {pid}").as_ref(), errno);
    if let Some(pidfd) = pidfd {
        let begin = Instant::now();
        events::poll_one(&pidfd, PollFlags::IN, limit).map_err(fail)?;
        if begin.elapsed() >= LOOK_AGAIN {
            return Ok(());
        }
    }
    pause();
    Ok(())
}
