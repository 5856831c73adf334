//! The mount table, entry by entry in the order of the specification: made detached, given its attributes, attached.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use sys::Errno;
use sys::mount::{Change, FsContext, Magic, Propagation};

use super::{cgroup_view, target};
use crate::error::{Context, Error, Result};
use crate::init::State;
use crate::job::Job;
use crate::plan::mounts::{Kind, Planned};
use crate::plan::options::{Attrs, Options};

mod copy_up;

/// Mounts everything.
pub(super) fn all(job: &Job<'_>, state: &mut State) -> Result<()> {
    job.mounts.iter().try_for_each(|mount| one(job, state, mount))
}

fn one(job: &Job<'_>, state: &mut State, mount: &Planned<'_>) -> Result<()> {
    let path = mount.destination;
    match &mount.kind {
        Kind::Bind(fd, true) => {
            let target = target::directory(&state.root, path)?;
            bind(fd, &target, mount)?;
            if path == Path::new("/proc") && sys::mount::is_on(fd, Magic::Proc).step("mount", "/proc")? {
                // the host's, where the kernel mounts none for those who aren't root over its processes
                state.proc = Some(sys::fd::dup_above(fd, 3).step("mount", "/proc")?);
            }
            Ok(())
        }
        Kind::Bind(fd, false) => {
            let target = target::file(&state.root, path)?;
            bind(fd, &target, mount)
        }
        Kind::Cgroup => {
            let target = target::directory(&state.root, path)?;
            cgroup_view::mount(job, mount, &target)
        }
        Kind::Remount => remount(state, mount),
        Kind::Filesystem { name, source } => filesystem(state, mount, (name, source), job.label),
    }
}

fn bind(fd: &OwnedFd, target: &OwnedFd, mount: &Planned<'_>) -> Result<()> {
    attributes(fd, &mount.options, mount.destination)?;
    sys::mount::attach(fd, target).step("mount", mount.destination.display())?;
    propagate(fd, &mount.options, mount.destination)
}

/// Changes a mount of the container: the mount's own attributes, and, unless it is said to be a bind mount, what its
/// file system is told (`mount(8)`, "remount").
fn remount(state: &State, mount: &Planned<'_>) -> Result<()> {
    let path = mount.destination;
    let fd = state.root.handle(path).step("remount", path.display())?;
    if mount.options.bind.is_none() && !mount.options.data.is_empty() {
        let context = FsContext::pick(&fd).step("remount", path.display())?;
        for option in &mount.options.data {
            context.set_list(option).step("remount", path.display())?;
        }
        context.reconfigure().step("remount", path.display())?;
    }
    // EINVAL when nothing is mounted right there
    attributes(&fd, &mount.options, path)?;
    propagate(&fd, &mount.options, path)
}

fn filesystem(
    state: &mut State,
    mount: &Planned<'_>,
    (name, source): (&str, &str),
    label: Option<&str>,
) -> Result<()> {
    let path = mount.destination;
    let fresh = name == "tmpfs" && target::new_scratch(&state.root, path)?;
    let target = match name {
        "proc" | "sysfs" => target::plain_directory(&state.root, path)?,
        _ => target::directory(&state.root, path)?,
    };
    let fd = make(name, source, &mount.options.data, label, path)?;
    if name == "tmpfs" {
        // a tmpfs takes after the directory that it covers
        if !fresh && !mount.options.data.iter().any(|d| d.starts_with("mode=")) {
            copy_up::mode(&target, &fd).step("mount tmpfs", path.display())?;
        }
        if mount.options.copy_up {
            copy_up::content(&target, &fd).map_err(|e| Error::io("tmpcopyup", path.display(), &e))?;
        }
    }
    attributes(&fd, &mount.options, path)?;
    sys::mount::attach(&fd, &target).step(&format!("mount {name}"), path.display())?;
    propagate(&fd, &mount.options, path)?;
    if name == "proc" {
        state.proc = Some(fd);
    }
    Ok(())
}

/// A detached mount of a filesystem type, all of whose files have SELinux's label, if they can.
pub(super) fn make(
    name: &str,
    source: &str,
    data: &[String],
    label: Option<&str>,
    path: &Path,
) -> Result<OwnedFd> {
    let step = format!("mount {name}");
    let context = FsContext::open(name).step(&step, path.display())?;
    let explain = |errno: Errno| match context.message() {
        Some(message) => {
            Error { errno: Some(errno), ..Error::text(&step, format!("{}: {message}", path.display())) }
        }
        None => Error::errno(&step, path.display(), errno),
    };
    context.set("source", source).map_err(explain)?;
    for option in data {
        context.set_list(option).map_err(explain)?;
    }
    let how = Labelled::of(name, data);
    if let Some(label) = label.filter(|_| how == Labelled::Whole) {
        context.set("context", label).map_err(explain)?;
    }
    context.create().map_err(explain)?;
    let mount = context.mount(sys::mount::Attr::default()).map_err(explain)?;
    if let Some(label) = label.filter(|_| how == Labelled::Top) {
        sys::selinux::label(&mount, label).step("selinux", path.display())?;
    }
    Ok(mount)
}

/// What of a file system takes a label.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Labelled {
    /// Everything, by an option.
    Whole,
    /// Its root: the rest is as its makers are.
    Top,
    /// The policy labels it.
    Nothing,
}

impl Labelled {
    fn of(name: &str, data: &[String]) -> Self {
        const OWN: [&str; 4] = ["context=", "fscontext=", "defcontext=", "rootcontext="];
        match name {
            "proc" | "sysfs" | "cgroup" | "cgroup2" | "selinuxfs" => Self::Nothing,
            // one a namespace, and made with it
            "mqueue" => Self::Top,
            _ if data.iter().any(|option| OWN.iter().any(|own| option.starts_with(own))) => Self::Nothing,
            _ => Self::Whole,
        }
    }
}

/// The attributes of a mount that is not attached yet: never is it there without them.
pub(super) fn attributes(fd: &OwnedFd, options: &Options, path: &Path) -> Result<()> {
    let apply = |attrs: Attrs, recursive: bool| {
        if attrs.is_empty() {
            return Ok(());
        }
        let change = Change { set: attrs.set, clear: attrs.clear, recursive, ..Change::default() };
        sys::mount::change(fd.as_fd(), &change).step("mount options", path.display())
    };
    apply(options.attrs, false)?;
    apply(options.recursive, true)
}

/// Propagation of a mount that is attached.
fn propagate(fd: &OwnedFd, options: &Options, path: &Path) -> Result<()> {
    for &(propagation, recursive) in &options.propagation {
        let change = Change { propagation: Some(propagation), recursive, ..Change::default() };
        sys::mount::change(fd.as_fd(), &change).step("mount propagation", path.display())?;
    }
    Ok(())
}

/// Makes a mount private; for mounts of our own making that the table doesn't know.
pub(super) fn make_private(fd: &OwnedFd) -> Result<()> {
    let change = Change { propagation: Some(Propagation::Private), ..Change::default() };
    sys::mount::change(fd, &change).step("mount propagation", "")
}
