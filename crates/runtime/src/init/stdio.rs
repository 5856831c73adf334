//! Descriptors 0, 1 and 2.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::process::Uid;

use crate::Stdio;
use crate::error::{Context, Result};

const STEP: &str = "stdio";

/// Puts them in place, and gives them to the user: a program that isn't root reopens `/dev/stdout`, too.
pub(super) fn install(stdio: &Stdio<'_>, tty: Option<&OwnedFd>, uid: u32) -> Result<()> {
    match (stdio, tty) {
        (Stdio::Terminal(_), Some(tty)) => {
            let tty = tty.as_fd();
            set([tty, tty, tty])?;
            sys::tty::take_control(tty).step("console", "controlling terminal")?;
        }
        (Stdio::Fds(fds), _) => set(*fds)?,
        (Stdio::Inherit | Stdio::Terminal(_), _) => {}
    }
    give_to(uid);
    Ok(())
}

fn set(fds: [BorrowedFd<'_>; 3]) -> Result<()> {
    // out of the way first: a source may itself be 0, 1 or 2
    let [input, output, error] = fds.map(|fd| sys::fd::dup_above(fd, 3));
    rustix::stdio::dup2_stdin(input.step(STEP, 0)?).step(STEP, 0)?;
    rustix::stdio::dup2_stdout(output.step(STEP, 1)?).step(STEP, 1)?;
    rustix::stdio::dup2_stderr(error.step(STEP, 2)?).step(STEP, 2)
}

/// Changes the owner, not the group. Not of the null device, which is everybody's; and where that can't be done (a file
/// of another user, a read-only filesystem) the program has what it was given.
fn give_to(uid: u32) {
    let null = rustix::fs::makedev(1, 3);
    for fd in [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()] {
        let Ok(stat) = rustix::fs::fstat(fd) else { continue };
        if stat.st_uid != uid && stat.st_rdev != null {
            let _ = rustix::fs::fchown(fd, Some(Uid::from_raw(uid)), None);
        }
    }
}
