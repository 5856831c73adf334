//! A unix socket that takes the place of a dead one, and never that of a live one.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener as StdListener, UnixStream};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use rustix::fs::{Mode, OFlags};
use tokio::net::UnixListener;

/// Owner and group may connect.
const MODE: u32 = 0o660;
/// Group that may connect, where it exists and no other is named.
const DEFAULT_GROUP: &str = "docker";

/// The socket's file, removed when this is dropped if it still is ours.
pub(crate) struct Socket {
    path: PathBuf,
    device: u64,
    inode: u64,
}

/// Binds beside the path and moves the socket there when it is ready: no client sees one that it may not
/// use yet, and a dead one is replaced in one step.
pub(super) fn listen(path: &Path, group: Option<&str>) -> Result<(UnixListener, Socket)> {
    refuse_live(path)?;
    let (dir, name) = (path.parent(), path.file_name());
    let (Some(dir), Some(name)) = (dir, name) else { bail!("the path names no file") };
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let dir_fd = rustix::fs::open(dir, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    // A socket's address has room for 107 bytes; this one is short whatever the directory is called.
    let own = PathBuf::from(sys::fd::proc_path(&dir_fd)).join(format!(".{}.berthd", std::process::id()));
    let _ = fs::remove_file(&own);
    let listener = StdListener::bind(&own)?;
    let ready = prepare(&own, group).and_then(|()| {
        rustix::fs::renameat(&dir_fd, own.file_name().unwrap_or_default(), &dir_fd, name)?;
        let metadata = fs::symlink_metadata(path)?;
        Ok(Socket { path: path.to_owned(), device: metadata.dev(), inode: metadata.ino() })
    });
    if ready.is_err() {
        let _ = fs::remove_file(&own);
    }
    let socket = ready?;
    listener.set_nonblocking(true)?;
    Ok((UnixListener::from_std(listener)?, socket))
}

fn refuse_live(path: &Path) -> Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            bail!("{} is there, and is no socket", path.display())
        }
        Ok(_) => {}
    }
    if connects(path) {
        bail!("another daemon listens there");
    }
    Ok(())
}

fn connects(path: &Path) -> bool {
    let Ok(socket) = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) else {
        return false;
    };
    let Ok(stream) = UnixStream::connect(sys::fd::proc_path(&socket)) else { return false };
    // A daemon that was killed while it started a shim has left its descriptors to that child, until its execve(2).
    // The socket says who listens (unix(7)); whom our process namespace can't see has number 0.
    match rustix::net::sockopt::socket_peercred(&stream) {
        Ok(peer) => sys::process::is_alive(peer.pid.as_raw_nonzero().get()),
        Err(_) => true,
    }
}

fn prepare(path: &Path, group: Option<&str>) -> Result<()> {
    match (group, group_id(group.unwrap_or(DEFAULT_GROUP))?) {
        (_, Some(id)) => std::os::unix::fs::chown(path, None, Some(id))?,
        (Some(name), None) if !name.is_empty() => bail!("there is no group {name:?}"),
        _ => {}
    }
    fs::set_permissions(path, fs::Permissions::from_mode(MODE))?;
    Ok(())
}

/// The id of a group of the host: a number, or a name in `/etc/group`.
fn group_id(name: &str) -> Result<Option<u32>> {
    if let Ok(id) = name.parse() {
        return Ok(Some(id));
    }
    let text = fs::read_to_string("/etc/group").unwrap_or_default();
    Ok(text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok()).flatten()
    }))
}

impl Drop for Socket {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == (self.device, self.inode));
        if ours {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dead_socket_is_replaced_and_a_live_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x".repeat(120)).join("sock");
        let (listener, socket) = listen(&path, None).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        let error = listen(&path, None).err().unwrap();
        assert!(error.to_string().contains("another daemon"), "{error}");
        std::mem::forget(socket);
        drop(listener);
        let (_listener, socket) = listen(&path, None).unwrap();
        drop(socket);
        assert!(!path.exists());
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_file_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sock");
        fs::write(&path, "mine").unwrap();
        assert!(listen(&path, None).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"mine");
        assert!(listen(&dir.path().join("s"), Some("no-such-group-here")).is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
