//! The maker's side of a new container: clone, serve the child until it waits for its start.

use std::os::fd::OwnedFd;

use sys::Pid;
use sys::process::{Child, CloneOptions, Namespaces};
use sys::signal::Signal;

use crate::error::{Context, Error, Result};
use crate::init::{self, stage};
use crate::job::Job;
use crate::link::{Link, Message};
use crate::{CreateOptions, Created, Running, hooks, userns};

/// Makes the first process, up to its waiting for the start.
pub(crate) fn create(options: &CreateOptions<'_>) -> Result<Created> {
    let job = Job::new(options)?;
    let (child, link) = match job.staged {
        true => by_stage(|| stage::ready(&job), |link| init::run(&job, link))?,
        false => directly(&job)?,
    };
    Maker { job: &job, link, console: None, notify: None }.raise(child)
}

/// One clone: the child joins by itself what is to be joined, but for the pid namespace.
fn directly(job: &Job<'_>) -> Result<(Child, Link)> {
    let (mine, theirs) = Link::pair()?;
    let new = job.namespaces.new.without(Namespaces::CGROUP);
    let clone = CloneOptions { namespaces: new, cgroup: job.options.cgroup.into, sibling: false };
    let back = enter_pid_namespace(job)?;
    let cloned = clone_with_link(&clone, mine, theirs, |link| init::run(job, link));
    let restored = back.map_or(Ok(()), |own| leave_pid_namespace(&own));
    let (child, link) = cloned?;
    match restored {
        Ok(()) => Ok((child, link)),
        Err(error) => Err(end(&child, error)),
    }
}

/// A process in between makes the child, which is this process's own all the same.
pub(crate) fn by_stage<'a>(
    ready: impl FnOnce() -> Result<CloneOptions<'a>>,
    child: impl FnOnce(Link) -> i32,
) -> Result<(Child, Link)> {
    let (link, childs) = Link::pair()?;
    let (words, stages) = Link::pair()?;
    let (stage, (words, link)) =
        clone_with_link(&CloneOptions::default(), (words, link), stages, |stages| {
            stage::run(stages, ready, move || child(childs))
        })?;
    let born = birth(&words);
    // it has done its work, or failed
    let ended = stage.wait().step("stage", "wait");
    let child = born?;
    match ended {
        Ok(_) => Ok((child, link)),
        Err(error) => Err(end(&child, error)),
    }
}

/// What the stage says about the child.
fn birth(link: &Link) -> Result<Child> {
    match link.recv()? {
        Some(Message::Born(pid, pidfd)) => {
            let pid = Pid::from_raw(pid).ok_or_else(|| Error::text("stage", "no process"))?;
            Ok(Child { pid, pidfd })
        }
        Some(Message::Failed(error)) => Err(error),
        _ => Err(Error::text("stage", "ended without a word")),
    }
}

/// Future children go into the pid namespace that is joined; what leads back comes back.
fn enter_pid_namespace(job: &Job<'_>) -> Result<Option<OwnedFd>> {
    let Some(joined) = job.namespaces.joined.iter().find(|j| j.kind == Namespaces::PID) else {
        return Ok(None);
    };
    join_pid_namespace(&joined.fd).map(Some)
}

/// Future children of this process go into the pid namespace of `target`; what leads back comes back.
pub(crate) fn join_pid_namespace(target: impl std::os::fd::AsFd) -> Result<OwnedFd> {
    let own = std::fs::File::open("/proc/self/ns/pid").step("join namespace", "/proc/self/ns/pid")?;
    sys::process::join_namespaces(target, Namespaces::PID).step("join namespace", "pid")?;
    Ok(own.into())
}

/// Whether this process may come back from another pid namespace: not where its own belongs to a user namespace above
/// its own, as for an ordinary user who is root of a namespace.
pub(crate) fn may_leave_pid_namespace() -> Result<bool> {
    let own = std::fs::File::open("/proc/self/ns/pid").step("join namespace", "/proc/self/ns/pid")?;
    match sys::process::join_namespaces(own, Namespaces::PID) {
        Ok(()) => Ok(true),
        Err(sys::Errno::PERM) => Ok(false),
        Err(error) => Err(error).step("join namespace", "own pid namespace"),
    }
}

/// Future children of this process go into its own pid namespace again.
pub(crate) fn leave_pid_namespace(own: &OwnedFd) -> Result<()> {
    sys::process::join_namespaces(own, Namespaces::PID).step("join namespace", "own pid namespace")
}

/// Ends a child that failed, and gives the error on.
pub(crate) fn end(child: &Child, error: Error) -> Error {
    // it is ending by itself, as a rule
    let _ = sys::signal::send(&child.pidfd, Signal::KILL);
    let _ = child.wait();
    error
}

struct Maker<'a> {
    job: &'a Job<'a>,
    link: Link,
    console: Option<OwnedFd>,
    notify: Option<OwnedFd>,
}

impl Maker<'_> {
    /// Serves the child until it waits for its start.
    fn raise(mut self, child: Child) -> Result<Created> {
        match self.serve(&child) {
            Ok(()) => Ok(Created {
                pid: child.pid,
                pidfd: child.pidfd,
                console: self.console,
                notify: self.notify,
                link: self.link,
            }),
            Err(error) => Err(end(&child, error)),
        }
    }

    fn serve(&mut self, child: &Child) -> Result<()> {
        let pid = child.pid.as_raw_nonzero().get();
        if self.job.namespaces.new.contains(Namespaces::USER) {
            userns::write_spec_mappings(child.pid, self.job.options.spec)?;
        }
        if self.job.waits_for_go() {
            self.link.send(&Message::Go(pid))?;
        }
        loop {
            match self.link.recv()? {
                Some(Message::Created) => return Ok(()),
                Some(Message::Console(fd)) => self.console = Some(fd),
                Some(Message::Notify(fd)) => self.notify = Some(fd),
                Some(Message::HooksDue) => {
                    hooks::run("createRuntime", &self.job.hooks.runtime, || {
                        hooks::state(self.job.options, "creating", pid)
                    })?;
                    self.link.send(&Message::HooksDone)?;
                }
                Some(Message::Failed(error)) => return Err(error),
                Some(_) => return Err(Error::text("create", "a message out of turn")),
                None => {
                    return Err(Error::text("create", "the container's first process ended without a word"));
                }
            }
        }
    }
}

/// Clones a child that has `theirs` and not the maker's end or ends `mine`: it sees when the maker is gone.
pub(crate) fn clone_with_link<M>(
    options: &CloneOptions<'_>,
    mine: M,
    theirs: Link,
    run: impl FnOnce(Link) -> i32,
) -> Result<(Child, M)> {
    let mut slot = Some(mine);
    let in_child = &mut slot;
    let child = sys::process::clone3(options, move || {
        *in_child = None;
        run(theirs)
    });
    let child = child.step("clone3", "")?;
    let mine = slot.ok_or_else(|| Error::text("clone3", "the link is gone"))?;
    Ok((child, mine))
}

/// Gives the start over `link` and waits until the program runs: then the other end closes by the exec.
pub(crate) fn start(link: &Link) -> Result<Option<OwnedFd>> {
    link.send(&Message::Start)?;
    let mut notify = None;
    loop {
        match link.recv()? {
            None => return Ok(notify),
            Some(Message::Failed(error)) => return Err(error),
            Some(Message::Notify(fd)) => notify = Some(fd),
            Some(_) => return Err(Error::text("start", "a message out of turn")),
        }
    }
}

/// Lets a created container run.
pub(crate) fn start_created(created: Created) -> Result<Running> {
    let Created { pid, pidfd, console, notify, link } = created;
    let late = start(&link)?;
    Ok(Running { pid, pidfd, console, notify: late.or(notify) })
}
