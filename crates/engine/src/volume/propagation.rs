//! Binds that pass mounts on: their source must lie on a mount that does.

use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};

use crate::engine::Inner;
use crate::error::{Error, Result};

/// The propagation that a bind of `source` gets.
///
/// # Errors
/// Docker's sentence when the mount beneath is neither shared nor, where that is enough, a slave.
pub(super) fn of_bind(engine: &Inner, source: &Path, asked: &str) -> Result<String> {
    let receives = matches!(asked, "slave" | "rslave");
    if !receives && !matches!(asked, "shared" | "rshared") {
        return Ok(if asked.is_empty() { "rprivate".to_owned() } else { asked.to_owned() });
    }
    let failed = |error| Error::because(format!("find the mount of {}", source.display()), error);
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(CWD, source, flags, Mode::empty()).map_err(|errno| failed(errno.into()))?;
    let mount = sys::mount::lies_on(fd).map_err(failed)?;
    if mount.shared || receives && mount.slave {
        return Ok(asked.to_owned());
    }
    let root = engine.config.data_root.as_path();
    if receives && (source.starts_with(root) || root.starts_with(source)) {
        // nobody asked for it: it was to let unmounts beneath the data root through, of which there are none then
        return Ok("rprivate".to_owned());
    }
    let kind = if receives { "shared or slave" } else { "shared" };
    Err(Error::system(format!(
        "path {} is mounted on {} but it is not a {kind} mount",
        source.display(),
        mount.mount_point.display()
    )))
}
