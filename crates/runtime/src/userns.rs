//! User namespaces: writing their mappings, and making one only for its mapping.

use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use oci_spec::runtime::{LinuxIdMapping, Spec};
use sys::Pid;
use sys::mount::Change;
use sys::process::{Child, CloneOptions, Namespaces};
use sys::signal::Signal;

use crate::error::{Context, Error, Result};

/// The kernel's limit (`user_namespaces(7)`).
const MAX_LINES: usize = 340;

fn lines(mappings: &[LinuxIdMapping]) -> Result<String> {
    if mappings.len() > MAX_LINES {
        return Err(Error::invalid("id mappings", format!("more than {MAX_LINES}")));
    }
    let line = |m: &LinuxIdMapping| format!("{} {} {}\n", m.container_id(), m.host_id(), m.size());
    Ok(mappings.iter().map(line).collect())
}

fn write(pid: Pid, name: &str, text: &str) -> Result<()> {
    let path = format!("/proc/{}/{name}", pid.as_raw_nonzero());
    let open = std::fs::OpenOptions::new().write(true).open(&path);
    // a map is written by one write call or not at all
    open.and_then(|mut file| file.write_all(text.as_bytes())).step("id mappings", path)
}

/// Writes the mappings of a process that is alone in its new user namespace.
pub(crate) fn write_mappings(pid: Pid, uids: &[LinuxIdMapping], gids: &[LinuxIdMapping]) -> Result<()> {
    if uids.is_empty() || gids.is_empty() {
        return Err(Error::invalid("id mappings", "a user namespace needs uidMappings and gidMappings"));
    }
    if !rustix::process::geteuid().is_root() {
        // an unprivileged writer may only map itself, and only after giving up setgroups
        write(pid, "setgroups", "deny")?;
    }
    write(pid, "uid_map", &lines(uids)?)?;
    write(pid, "gid_map", &lines(gids)?)
}

/// The container's own mappings, from its specification.
pub(crate) fn write_spec_mappings(pid: Pid, spec: &Spec) -> Result<()> {
    let linux = spec.linux().as_ref();
    let uids = linux.and_then(|l| l.uid_mappings().as_deref()).unwrap_or(&[]);
    let gids = linux.and_then(|l| l.gid_mappings().as_deref()).unwrap_or(&[]);
    write_mappings(pid, uids, gids)
}

/// Makes a detached mount idmapped.
pub(crate) fn idmap(
    mount: BorrowedFd<'_>,
    uids: &[LinuxIdMapping],
    gids: &[LinuxIdMapping],
    recursive: bool,
) -> Result<()> {
    let userns = with_mappings(uids, gids)?;
    let change = Change { idmap: Some(userns.as_fd()), recursive, ..Change::default() };
    sys::mount::change(mount, &change).step("idmap", "")
}

/// A user namespace that nobody lives in, with these mappings.
fn with_mappings(uids: &[LinuxIdMapping], gids: &[LinuxIdMapping]) -> Result<OwnedFd> {
    make(uids, gids, Namespaces::NONE).map(|(user, _)| user)
}

/// A user namespace that nobody lives in, with these mappings, and a network namespace of its own.
pub(crate) fn with_network(uids: &[LinuxIdMapping], gids: &[LinuxIdMapping]) -> Result<(OwnedFd, OwnedFd)> {
    let (user, network) = make(uids, gids, Namespaces::NET)?;
    Ok((user, network.ok_or_else(|| Error::text("id mappings", "no network namespace"))?))
}

/// A network namespace that belongs to this user namespace.
pub(crate) fn network_of(user: BorrowedFd<'_>) -> Result<OwnedFd> {
    hold(&CloneOptions::default(), |ready| {
        sys::process::join_namespaces(user, Namespaces::USER)?;
        sys::process::unshare(Namespaces::NET)?;
        // a word that it is so: without it, it has failed
        rustix::io::write(ready, b"x").map(drop)
    })
    .and_then(|held| {
        held.told()?;
        held.open("net")
    })
}

fn make(
    uids: &[LinuxIdMapping],
    gids: &[LinuxIdMapping],
    more: Namespaces,
) -> Result<(OwnedFd, Option<OwnedFd>)> {
    let options = CloneOptions { namespaces: Namespaces::USER | more, ..CloneOptions::default() };
    let held = hold(&options, |_| Ok(()))?;
    write_mappings(held.child.pid, uids, gids)?;
    let network = more.contains(Namespaces::NET).then(|| held.open("net")).transpose()?;
    Ok((held.open("user")?, network))
}

/// A process that is only there for its namespaces, until this value goes.
struct Held {
    child: Child,
    ready: OwnedFd,
    /// Dropped after the child is waited for, which then has ended.
    _stay: OwnedFd,
}

/// Makes one, which does `first` and then waits.
fn hold(options: &CloneOptions<'_>, first: impl FnOnce(BorrowedFd<'_>) -> sys::Result<()>) -> Result<Held> {
    let (wait, stay) = sys::fd::pipe().step("user namespace", "pipe")?;
    let (ready, tell) = sys::fd::pipe().step("user namespace", "pipe")?;
    let mut in_maker = Some((stay, ready));
    let ends = &mut in_maker;
    let child = sys::process::clone3(options, || {
        *ends = None;
        if first(tell.as_fd()).is_ok() {
            // until the maker closes its end (or is gone)
            let _ = rustix::io::read(&wait, &mut [0u8; 1]);
        }
        0
    })
    .step("user namespace", "clone3")?;
    let (stay, ready) = in_maker.ok_or_else(|| Error::text("user namespace", "its pipes are gone"))?;
    Ok(Held { child, ready, _stay: stay })
}

impl Held {
    /// Waits for its word.
    fn told(&self) -> Result<()> {
        let count = rustix::io::retry_on_intr(|| rustix::io::read(&self.ready, &mut [0u8; 1]));
        match count.step("user namespace", "read")? {
            0 => Err(Error::text("user namespace", "can't be joined, or makes no network namespace")),
            _ => Ok(()),
        }
    }

    fn open(&self, name: &str) -> Result<OwnedFd> {
        let path = format!("/proc/{}/ns/{name}", self.child.pid.as_raw_nonzero());
        std::fs::File::open(&path).step("user namespace", path).map(OwnedFd::from)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // it has no other reason to live; it ends by itself when our ends of its pipes close
        let _ = sys::signal::send(&self.child.pidfd, Signal::KILL);
        let _ = self.child.wait();
    }
}
