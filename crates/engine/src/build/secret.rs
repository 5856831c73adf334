//! Secrets and ssh agents of the client's, as a step sees them. A secret is in memory alone: in no layer, no cache and
//! no directory of ours.

use std::io::Write as _;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixListener;
use std::sync::Arc;

use ::build::graph::{Exec, SecretMount, SshMount};
use ::build::{Error, Result};
use rustix::fs::{Gid, Mode, Uid};
use store::{Scratch, Store};
use sys::mount::Attr;
use sys::path::Root;
use tokio::runtime::Handle;

use super::lent::Lent;
use super::worker::BuildWorker;
use crate::container::security::selinux;

/// Where a socket is in its directory.
const SOCKET: &str = "agent";

/// A socket that leads to a client's agent, as long as this.
pub(super) struct Socket {
    accepting: tokio::task::JoinHandle<()>,
    dir: OwnedFd,
    place: Scratch,
}

impl Socket {
    /// Its address for programs of this host, as long as the daemon runs.
    pub(super) fn address(&self) -> String {
        format!("/proc/{}/fd/{}/{SOCKET}", std::process::id(), self.dir.as_fd().as_raw_fd())
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl BuildWorker {
    fn value(&self, id: &str, required: bool) -> Result<Option<Vec<u8>>> {
        let missing = || Error::Invalid(format!("secret {id}: not found"));
        let found = match &self.lent {
            Some(lent) => lent.secret(id).map_err(|error| Error::Invalid(format!("secret {id}: {error}")))?,
            None => None,
        };
        if found.is_none() && required { Err(missing()) } else { Ok(found) }
    }

    /// Variables whose values the client gives.
    pub(super) fn secret_env(&self, exec: &Exec) -> Result<Vec<String>> {
        let mut env = Vec::new();
        for secret in &exec.secret_env {
            let Some(value) = self.value(&secret.id, secret.required)? else { continue };
            let text =
                String::from_utf8(value).ok().filter(|text| !text.contains('\0')).ok_or_else(|| {
                    Error::Invalid(format!("secret {}: it is no text, and so no variable", secret.id))
                })?;
            env.push(format!("{}={text}", secret.name));
        }
        Ok(env)
    }

    /// A file that is a mount of its own; `None` if it is not there and need not be.
    pub(super) fn secret(&self, secret: &SecretMount, label: &str) -> Result<Option<OwnedFd>> {
        let Some(value) = self.value(&secret.id, secret.required)? else { return Ok(None) };
        let failed = |error| Error::because("make room for a secret", error);
        let size = value.len().next_multiple_of(4096).max(4096) + 4096;
        let size = size.to_string();
        let mut options = vec![("mode", "0700"), ("size", size.as_str())];
        if !label.is_empty() {
            options.push(("context", label));
        }
        let memory = sys::mount::filesystem("tmpfs", &options, Attr::NOSUID | Attr::NODEV | Attr::NOEXEC)
            .map_err(failed)?;
        let root = Root::strict(memory);
        let mut file = root.create_file("secret", 0o600).map_err(failed)?;
        file.write_all(&value).map_err(|error| Error::because("write a secret", error))?;
        rustix::fs::fchown(&file, Some(Uid::from_raw(secret.uid)), Some(Gid::from_raw(secret.gid)))
            .map_err(failed)?;
        rustix::fs::fchmod(&file, Mode::from_raw_mode(secret.mode)).map_err(failed)?;
        drop(file);
        let part = |root| sys::mount::clone_fd(Root::strict(root).handle_nofollow("secret")?, false);
        sys::mount::inside(root.into_fd(), &part).map(Some).map_err(failed)
    }

    /// A socket that is a mount of its own; `None` if there is no such agent and need not be.
    pub(super) fn agent(&self, ssh: &SshMount, label: &str) -> Result<Option<(OwnedFd, Socket)>> {
        let id = if ssh.id.is_empty() { "default" } else { &ssh.id };
        let socket = match &self.lent {
            Some(lent) => socket(&self.engine.store, &self.runtime, lent, id)?,
            None => None,
        };
        let Some(socket) = socket else {
            if ssh.required {
                return Err(Error::Invalid(format!("no SSH key {id:?} forwarded from the client")));
            }
            return Ok(None);
        };
        let dir = socket.dir.as_fd();
        let refused = |error: rustix::io::Errno| Error::because("make an agent's socket", error);
        rustix::fs::chownat(
            dir,
            SOCKET,
            Some(Uid::from_raw(ssh.uid)),
            Some(Gid::from_raw(ssh.gid)),
            rustix::fs::AtFlags::SYMLINK_NOFOLLOW,
        )
        .map_err(refused)?;
        let mode = Mode::from_raw_mode(ssh.mode);
        rustix::fs::chmodat(dir, SOCKET, mode, rustix::fs::AtFlags::empty()).map_err(refused)?;
        selinux::label(&socket.place.path().join(SOCKET), label)
            .map_err(|error| Error::because("label an agent's socket", error))?;
        let mount = sys::mount::clone_path(socket.place.path().join(SOCKET), false).map_err(refused)?;
        Ok(Some((mount, socket)))
    }
}

/// A socket that leads to a client's agent; `None` if the client has none of that name.
pub(super) fn socket(
    store: &Store,
    runtime: &Handle,
    lent: &Arc<dyn Lent>,
    id: &str,
) -> Result<Option<Socket>> {
    if !lent.has_agent(id).map_err(|error| Error::Invalid(format!("ssh agent {id}: {error}")))? {
        return Ok(None);
    }
    let place = store.scratch().map_err(|error| Error::because("make room for an agent's socket", error))?;
    let failed = |error: std::io::Error| Error::because("make an agent's socket", error);
    let dir = sys::file::open_directory(place.path()).map_err(failed)?;
    // a socket's address is short, and the data root's path may not be
    let path = format!("/proc/self/fd/{}/{SOCKET}", dir.as_fd().as_raw_fd());
    let listener = UnixListener::bind(path).map_err(failed)?;
    let accepting = accept(listener, runtime, Arc::clone(lent), id.to_owned()).map_err(failed)?;
    Ok(Some(Socket { accepting, dir, place }))
}

fn accept(
    listener: UnixListener,
    runtime: &Handle,
    lent: Arc<dyn Lent>,
    id: String,
) -> std::io::Result<tokio::task::JoinHandle<()>> {
    listener.set_nonblocking(true)?;
    let _in_runtime = runtime.enter();
    let listener = tokio::net::UnixListener::from_std(listener)?;
    Ok(runtime.spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            match connection.into_std() {
                Ok(connection) => lent.forward(&id, connection),
                Err(error) => tracing::debug!(%error, "a connection to an ssh agent was lost"),
            }
        }
    }))
}
