//! This program's file must not be writable from a container, which can reach it as `/proc/PID/exe` (CVE-2019-5736).
//!
//! Before anything of a container is touched the program runs itself again from a detached read-only mount of its file
//! (0.4 ms): whoever opens `/proc/PID/exe` then gets a file of that mount, which is in no mount namespace, so nobody can
//! make it writable. Where mounts can't be made (an ordinary user) from a sealed copy in memory.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;

use anyhow::{Context as _, Result, bail};
use rustix::fs::{MemfdFlags, SealFlags, StatVfsMountFlags};
use sys::mount::{Attr, Change, Propagation};

const SELF: &str = "/proc/self/exe";

/// Runs the program again unless it runs from a file that can't be written already.
pub(crate) fn ensure() -> Result<()> {
    if is_sealed()? {
        return Ok(());
    }
    let file = read_only_mount().or_else(|_| sealed_copy()).context("sealing the program")?;
    let c_string = |s: std::ffi::OsString| CString::new(s.into_vec());
    let args = std::env::args_os().map(c_string).collect::<Result<Vec<_>, _>>()?;
    let env = std::env::vars_os().map(|(mut name, value)| {
        name.push("=");
        name.push(value);
        c_string(name)
    });
    let errno = sys::process::exec_fd(&file, &args, &env.collect::<Result<Vec<_>, _>>()?);
    bail!("running the sealed program: {}", io::Error::from(errno))
}

fn is_sealed() -> Result<bool> {
    let stat = rustix::fs::statvfs(SELF).context(SELF)?;
    if stat.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return Ok(true);
    }
    let file = File::open(SELF).context(SELF)?;
    let seals = rustix::fs::fcntl_get_seals(&file).unwrap_or(SealFlags::empty());
    Ok(seals.contains(SealFlags::WRITE))
}

fn read_only_mount() -> Result<OwnedFd, sys::Errno> {
    let mount = sys::mount::clone_path(SELF, false)?;
    // private: a shared one would get what happens to its peers
    let change = Change { set: Attr::RDONLY, propagation: Some(Propagation::Private), ..Change::default() };
    sys::mount::change(&mount, &change)?;
    Ok(mount)
}

fn sealed_copy() -> io::Result<OwnedFd> {
    let copy = rustix::fs::memfd_create("berth-oci", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut file = File::from(copy);
    io::copy(&mut File::open(SELF)?, &mut file)?;
    let seals = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    rustix::fs::fcntl_add_seals(&file, seals)?;
    Ok(file.into())
}
