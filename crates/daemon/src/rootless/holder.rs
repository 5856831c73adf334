//! The process that holds a user's namespaces, and how the next daemon knows it.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use engine::userns::subordinate;
use sys::process::{Child, CloneOptions, Namespaces};
use sys::signal::Signal;

/// Says which process it is: its number and when it began.
const RECORD: &str = "rootless";
/// Longest record.
const MOST_BYTES: usize = 256;

/// A process that holds namespaces.
pub(super) struct Place {
    pid: i32,
}

impl Place {
    /// Its number.
    pub(super) fn pid(&self) -> i32 {
        self.pid
    }
}

fn record(exec_root: &Path) -> PathBuf {
    exec_root.join(RECORD)
}

/// The process that an earlier daemon has left. Its number may be another's by now: one that began at another time is
/// not meant.
pub(super) fn find(exec_root: &Path) -> Option<Place> {
    let bytes = sys::file::read_bounded(record(exec_root), MOST_BYTES).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (pid, began) = text.trim_end().split_once(' ')?;
    let (pid, began): (i32, u64) = (pid.parse().ok()?, began.parse().ok()?);
    let (state, start) = sys::process::stat(sys::Pid::from_raw(pid)?)?;
    (start == began && !matches!(state, b'Z' | b'X')).then_some(Place { pid })
}

/// Makes the namespaces, and the process that holds them.
///
/// # Errors
/// The kernel refuses; the ids can't be mapped.
pub(super) fn make(exec_root: &Path) -> Result<Place> {
    let (wait, go) = sys::fd::pipe()?;
    let namespaces = Namespaces::USER | Namespaces::MOUNT | Namespaces::NET;
    let mut ours = Some(go);
    let end = &mut ours;
    let child = sys::process::clone3(&CloneOptions { namespaces, ..CloneOptions::default() }, || {
        *end = None;
        hold(wait)
    })
    .context("the kernel makes no user namespace for an ordinary user (see user_namespaces(7))")?;
    let made = map(&child).and_then(|()| {
        let pid = child.pid.as_raw_nonzero().get();
        let (_, began) = sys::process::stat(child.pid).context("cannot see the new process")?;
        std::fs::write(record(exec_root), format!("{pid} {began}\n"))
            .context("cannot write who holds the namespaces")?;
        let go = ours.as_ref().context("the pipe is gone")?;
        rustix::io::write(go, b"x")?;
        Ok(Place { pid })
    });
    if made.is_err() {
        let _ = sys::signal::send(&child.pidfd, Signal::KILL);
        let _ = child.wait();
    }
    made
}

/// The holder's life: until a signal ends it, and no longer than its maker if that fails.
fn hold(wait: OwnedFd) -> i32 {
    let told = rustix::io::read(&wait, &mut [0u8; 1]);
    if !matches!(told, Ok(1)) {
        return 1;
    }
    let _ = sys::net::loopback_up();
    // no terminal's keys, and nobody's streams
    let _ = rustix::process::setsid();
    let _ = rustix::thread::set_name(c"berth-rootless");
    let _ = rustix::process::chdir("/");
    drop(wait);
    // none of the files that its maker had open, the streams included
    let _ = sys::process::close_all_except(0, &[]);
    loop {
        // a signal that is handled by nobody does not return
        let _ = rustix::event::poll(&mut [], None);
    }
}

/// Has the two programs that may do so map ids: the user as root, and the subordinate ids after it.
fn map(child: &Child) -> Result<()> {
    let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    let ids = subordinate(uid, Path::new("/etc"))?;
    for (program, own, rows) in [("newuidmap", uid, &ids.uids), ("newgidmap", gid, &ids.gids)] {
        let mut words = vec![child.pid.as_raw_nonzero().get().to_string()];
        let mut add = |inside: u32, outside: u32, count: u32| {
            words.extend([inside, outside, count].map(|number| number.to_string()));
        };
        add(0, own, 1);
        for row in rows {
            add(row.inside + 1, row.outside, row.count);
        }
        let ran = Command::new(program).args(&words).output().with_context(|| {
            format!("an ordinary user's daemon needs {program} (Debian's package uidmap), which can't be run")
        })?;
        if !ran.status.success() {
            bail!("{program} refuses: {}", String::from_utf8_lossy(&ran.stderr).trim());
        }
    }
    Ok(())
}

/// Ends the process and forgets it.
pub(super) fn end(exec_root: &Path) {
    if let Some(place) = find(exec_root)
        && let Some(pid) = sys::Pid::from_raw(place.pid)
    {
        let _ = sys::signal::kill(pid, Signal::KILL);
    }
    let _ = std::fs::remove_file(record(exec_root));
}
