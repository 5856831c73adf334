//! User namespaces: writing their mappings, and making one only for its mapping.

use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use oci_spec::runtime::{LinuxIdMapping, Spec};
use sys::Pid;
use sys::mount::Change;
use sys::process::{CloneOptions, Namespaces};
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
    let (hold, held) = sys::fd::pipe().step("idmap", "pipe")?;
    let options = CloneOptions { namespaces: Namespaces::USER, ..CloneOptions::default() };
    let child = sys::process::clone3(&options, || {
        drop(held);
        // until the maker closes its end (or is gone)
        let _ = rustix::io::read(&hold, &mut [0u8; 1]);
        0
    })
    .step("idmap", "clone3")?;
    let made = write_mappings(child.pid, uids, gids).and_then(|()| {
        let path = format!("/proc/{}/ns/user", child.pid.as_raw_nonzero());
        std::fs::File::open(&path).step("idmap", path).map(OwnedFd::from)
    });
    // it has no other reason to live; a failure to end it shows in the wait
    let _ = sys::signal::send(&child.pidfd, Signal::KILL);
    child.wait().step("idmap", "wait")?;
    made
}
