//! The terminal: made in the container's own devpts, its master sent out, its other side bound over `/dev/console`.

use std::os::fd::OwnedFd;
use std::path::Path;

use sys::path::Root;
use sys::tty::Size;

use super::{mounts, target};
use crate::error::{Context, Error, Result};
use crate::link::{Link, Message};

/// Makes the terminal and hands its master to the maker.
pub(in crate::init) fn open(root: &Root, size: Option<Size>, link: &Link) -> Result<OwnedFd> {
    let devpts = root.open_dir("/dev/pts").step("console", "/dev/pts")?;
    let pty = sys::tty::open_pty(&devpts).map_err(|errno| match errno {
        sys::Errno::INVAL => Error::invalid("console", "a terminal needs a devpts mount at /dev/pts"),
        other => Error::errno("console", "/dev/pts/ptmx", other),
    })?;
    if let Some(size) = size {
        sys::tty::set_size(&pty.master, size).step("console", "size")?;
    }
    link.send(&Message::Console(pty.master))?;
    Ok(pty.peer)
}

/// Binds it over `/dev/console`.
pub(in crate::init) fn bind(root: &Root, tty: Option<&OwnedFd>) -> Result<()> {
    let Some(tty) = tty else { return Ok(()) };
    let path = Path::new("/dev/console");
    let fd = sys::mount::clone_fd(tty, false).step("console", path.display())?;
    mounts::make_private(&fd)?;
    let target = target::file(root, path)?;
    sys::mount::attach(&fd, &target).step("console", path.display())
}
