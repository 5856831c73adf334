//! Giving memory back to the kernel.

use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd as _};

use crate::{Errno, Result};

/// Gives back free heap, unused stack of the main thread, and the program's code and constants, all of which comes
/// back when it is touched (`madvise(2)`, `malloc_trim(3)`). For a process that did a lot at its start and
/// then mostly sleeps; some 50 µs, and page faults afterwards.
pub fn release() {
    crate::raw::memory::release();
}

/// Has every larger piece of memory come from the kernel, and go back to it at once (`mallopt(3)`). By itself the
/// allocator would keep pieces of up to 32 MiB once one of the kind was freed, and small ones come to lie in them. To
/// be called before there are threads.
pub fn return_large_pieces() {
    crate::raw::memory::fix_threshold();
}

/// Gives back free heap alone (`malloc_trim(3)`); from any thread of many.
pub fn trim() {
    crate::raw::memory::trim();
}

/// Waits in next to no memory: what the program has of its own file is given back before each wait, and but for the
/// pages of the wait itself, it comes back when there is something to do. For a process that mostly sleeps.
#[derive(Debug)]
pub struct Doze(Range<usize>);

impl Doze {
    /// Looks up (in `/proc`) what can be given back; without `/proc`, nothing is.
    #[must_use]
    pub fn new() -> Self {
        let code = crate::raw::memory::code();
        crate::raw::memory::isolate(&code);
        Self(code)
    }

    /// Waits until `fd` can be read or has hung up.
    ///
    /// # Errors
    /// What `poll(2)` says, except `EINTR`.
    pub fn until_readable(&self, fd: impl AsFd) -> Result<()> {
        match crate::raw::memory::doze(self.0.clone(), fd.as_fd().as_raw_fd()) {
            Err(Errno::INTR) => Ok(()),
            other => other,
        }
    }
}

impl Default for Doze {
    fn default() -> Self {
        Self::new()
    }
}
