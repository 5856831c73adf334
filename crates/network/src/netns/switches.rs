//! The switches of a new namespace, found in a procfs of our own.
//!
//! Every namespace has its own `/proc/sys/net`, and all of them are remembered by the kernel under the same names: in a
//! procfs that a thousand namespaces were set up through, a look-up passes a thousand entries that are another
//! namespace's (1.6 ms a container at 1,000, measured on 6.18). A procfs that is given up now and then forgets them.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{Mode, OFlags};

use sys::mount::{self, Attr};

/// Namespaces that are set up through one procfs. Making one takes as long as some 20 look-ups.
const MOST: u32 = 64;

/// The procfs, and how many namespaces were set up through it.
static PROC: Mutex<Option<(OwnedFd, u32)>> = Mutex::new(None);

/// The switches of interfaces that come, in the namespace of the calling thread.
pub(super) struct Switches(OwnedFd);

impl Switches {
    /// None in a kernel without IPv6.
    pub(super) fn of_ipv6() -> Option<Self> {
        let path = "sys/net/ipv6/conf/default";
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut proc = PROC.lock().unwrap_or_else(PoisonError::into_inner);
        if proc.as_ref().is_none_or(|(_, used)| *used >= MOST) {
            let attr = Attr::NOSUID | Attr::NODEV | Attr::NOEXEC;
            // In a container that hides parts of its procfs there is only that one.
            *proc = mount::filesystem("proc", &[], attr).ok().map(|fd| (fd, 0));
        }
        let opened = match proc.as_mut() {
            Some((fd, used)) => {
                *used += 1;
                rustix::fs::openat(fd.as_fd(), path, flags, Mode::empty())
            }
            None => rustix::fs::open(format!("/proc/{path}"), flags, Mode::empty()),
        };
        opened.ok().map(Self)
    }

    /// One of them, to be written.
    pub(super) fn open(&self, name: &str) -> Option<File> {
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        rustix::fs::openat(&self.0, name, flags, Mode::empty()).ok().map(File::from)
    }
}
