//! The maker's side of a further process in a running container.

use std::os::fd::OwnedFd;

use sys::process::{Child, CloneOptions, Namespaces};

use crate::create::{
    by_stage, clone_with_link, end, join_pid_namespace, leave_pid_namespace, may_leave_pid_namespace,
};
use crate::error::{Error, Result};
use crate::init::enter::{self, Job};
use crate::init::stage;
use crate::link::{Link, Message};
use crate::plan::{namespaces, process};
use crate::{ExecOptions, Execed};

/// Starts the process and waits until it is its program.
pub(crate) fn exec(options: &ExecOptions<'_>) -> Result<Execed> {
    let listed = namespaces::listed(options.spec);
    let job = Job {
        options,
        process: process::plan(options.process)?,
        namespaces: listed.without(Namespaces::PID),
    };
    let joins_pid = listed.contains(Namespaces::PID);
    let (child, link) = match joins_pid && !may_leave_pid_namespace()? {
        true => by_stage(|| stage::ready_beside(&job), |link| enter::run(&job, link))?,
        false => directly(&job, joins_pid)?,
    };
    match serve(&link) {
        Ok((console, notify)) => Ok(execed(child, console, notify)),
        Err(error) => Err(end(&child, error)),
    }
}

/// One clone, in the pid namespace that this process joins and leaves again.
fn directly(job: &Job<'_>, joins_pid: bool) -> Result<(Child, Link)> {
    let options = job.options;
    let (mine, theirs) = Link::pair()?;
    let back = if joins_pid { Some(join_pid_namespace(options.target.pidfd)?) } else { None };
    let clone = CloneOptions { cgroup: options.cgroup.into, ..CloneOptions::default() };
    let cloned = clone_with_link(&clone, mine, theirs, |link| enter::run(job, link));
    let restored = back.map_or(Ok(()), |own| leave_pid_namespace(&own));
    let (child, link) = cloned?;
    match restored {
        Ok(()) => Ok((child, link)),
        Err(error) => Err(end(&child, error)),
    }
}

fn execed(child: Child, console: Option<OwnedFd>, notify: Option<OwnedFd>) -> Execed {
    Execed { pid: child.pid, pidfd: child.pidfd, console, notify }
}

/// Until the other end closes, by the exec.
fn serve(link: &Link) -> Result<(Option<OwnedFd>, Option<OwnedFd>)> {
    let (mut console, mut notify) = (None, None);
    loop {
        match link.recv()? {
            None => return Ok((console, notify)),
            Some(Message::Console(fd)) => console = Some(fd),
            Some(Message::Notify(fd)) => notify = Some(fd),
            Some(Message::Failed(error)) => return Err(error),
            Some(_) => return Err(Error::text("exec", "a message out of turn")),
        }
    }
}
