//! A program whose file can't be written by whoever finds it as `/proc/PID/exe` (CVE-2019-5736): a process that enters a
//! container still runs the host's program for a moment, and a container can make it run again.
//!
//! The program is run from a detached read-only mount of its file: whoever opens `/proc/PID/exe` gets a file of that
//! mount, which is in no mount namespace, so nobody can make it writable. Two calls, a hundredth of a millisecond. Where
//! mounts can't be made (an ordinary user) from a sealed copy in memory.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{MemfdFlags, SealFlags, StatVfsMountFlags};

use crate::mount::{self, Attr, Change, Propagation};

/// Whether this process runs from a file that can't be written already.
///
/// # Errors
/// What `statvfs(3)` and `open(2)` of `/proc/self/exe` say.
pub fn is_sealed() -> io::Result<bool> {
    let own = "/proc/self/exe";
    if rustix::fs::statvfs(own)?.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return Ok(true);
    }
    let seals = rustix::fs::fcntl_get_seals(File::open(own)?).unwrap_or(SealFlags::empty());
    Ok(seals.contains(SealFlags::WRITE))
}

/// The program at `path` as a descriptor to run ([`crate::process::exec_fd`], or [`crate::spawn`] by its
/// [`crate::fd::proc_path`]). Close it when it runs: then the mount can't be changed by anybody.
///
/// # Errors
/// What `open(2)`, `memfd_create(2)` and the copying say.
pub fn sealed(path: impl AsRef<Path>) -> io::Result<OwnedFd> {
    let path = path.as_ref();
    read_only_mount(path).or_else(|_| sealed_copy(path))
}

fn read_only_mount(path: &Path) -> crate::Result<OwnedFd> {
    let fd = mount::clone_path(path, false)?;
    // private: a shared one would get what happens to its peers
    let change = Change { set: Attr::RDONLY, propagation: Some(Propagation::Private), ..Change::default() };
    mount::change(&fd, &change)?;
    Ok(fd)
}

fn sealed_copy(path: &Path) -> io::Result<OwnedFd> {
    let copy = rustix::fs::memfd_create("program", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut file = File::from(copy);
    io::copy(&mut File::open(path)?, &mut file)?;
    let seals = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    rustix::fs::fcntl_add_seals(&file, seals)?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::process::Exit;
    use crate::spawn::Command;

    /// Runs it, and tries to write to its file by way of `/proc/PID/exe`.
    fn run_and_write(program: OwnedFd, dir: &Path) {
        let (hold, held) = crate::fd::pipe().unwrap();
        let path = crate::fd::proc_path(&program);
        let mut command = Command::new(&path, "cat").unwrap();
        command.map(hold.as_fd(), 0);
        let child = command.spawn().unwrap();
        drop(program);
        let exe = format!("/proc/{}/exe", child.pid.as_raw_nonzero());
        let kept = rustix::fs::open(&exe, rustix::fs::OFlags::PATH, rustix::fs::Mode::empty()).unwrap();
        drop(held);
        assert_eq!(child.wait().unwrap(), Exit::Code(0));
        let again = std::fs::OpenOptions::new().write(true).open(crate::fd::proc_path(&kept));
        let written = again.and_then(|mut file| file.write_all(b"x"));
        assert!(written.is_err(), "the program's file was written");
        let set = Change { clear: Attr::RDONLY, ..Change::default() };
        assert!(mount::change(&kept, &set).is_err(), "the mount was made writable");
        assert!(std::fs::OpenOptions::new().write(true).open(dir.join("cat")).is_ok(), "the control");
    }

    #[test]
    fn its_file_can_not_be_written_through_proc() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cat");
        std::fs::copy("/bin/busybox", &path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        run_and_write(read_only_mount(&path).unwrap(), dir.path());
        run_and_write(sealed_copy(&path).unwrap(), dir.path());
        assert!(!is_sealed().unwrap());
    }
}
