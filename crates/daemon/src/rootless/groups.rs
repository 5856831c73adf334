//! Control groups of an ordinary user's daemon: a scope of the user's own systemd, on hosts that version 2 rules.
//!
//! The scope lives as long as a process in it does. The one that holds the namespaces is its first, shims and containers
//! follow; so neither the end of the service that the daemon may be, nor systemd's starting it again, touches what
//! containers have. Beneath a service's own group they would be in the way of its next start: a group that passes
//! controllers on takes no process.

use std::path::{Path, PathBuf};

use sys::cgroup::systemd::Manager;
use sys::cgroup::{CgroupPath, Delegated, Host, Version};

/// The scope, and who can bring a process there that the user may not move.
pub(super) struct Groups {
    scope: Delegated,
    name: String,
    manager: Option<Manager>,
}

/// The user's systemd.
pub(super) fn manager(user: u32, owner: u32) -> Option<Manager> {
    let session = PathBuf::from(format!("/run/user/{user}"));
    let named = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let runtimes = named.into_iter().chain([session]);
    let mut own = runtimes.filter(|path| is_owned(path, owner));
    own.find_map(|runtime| Some(Manager::User { runtime, uid: user }).filter(Manager::is_there))
}

/// After `su` the variable may name another user's directory.
fn is_owned(path: &Path, owner: u32) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    path.is_absolute() && std::fs::metadata(path).is_ok_and(|found| found.is_dir() && found.uid() == owner)
}

impl Groups {
    /// The scope of the daemon with this tag, around the process that holds the namespaces.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn find(tag: &str, user: u32, holder: i32) -> Result<Self, String> {
        let version = Host::get().map_err(|error| error.to_string())?.version();
        if version != Version::V2 {
            return Err("only control groups of version 2 are given to ordinary users".to_owned());
        }
        let name = if tag.is_empty() { "berth.scope".to_owned() } else { format!("berth-{tag}.scope") };
        let manager = manager(user, rustix::process::geteuid().as_raw());
        let groups = match (Delegated::around(holder, &name), manager) {
            (Ok(Some(scope)), manager) => Self { scope, name, manager },
            (_, None) => return Err("no systemd of the user's runs, which would give them".to_owned()),
            (_, Some(manager)) => {
                let path = manager
                    .delegate(&name, holder, Delegated::service())
                    .map_err(|error| error.to_string())?;
                let scope = Delegated::at(path).map_err(|error| error.to_string())?;
                Self { scope, name, manager: Some(manager) }
            }
        };
        groups.bring(holder)?;
        if !groups.scope.is_within_reach() {
            // the daemon is a session's: it moves itself, for only from within can it move its shims
            groups.bring(std::process::id().cast_signed())?;
        }
        Ok(groups)
    }

    /// Takes a process in.
    ///
    /// # Errors
    /// Why it stays where it is.
    pub(super) fn bring(&self, pid: i32) -> Result<(), String> {
        let Err(refused) = self.scope.take_in(pid) else { return Ok(()) };
        let Some(manager) = &self.manager else { return Err(refused.to_string()) };
        let group = self.scope.engine().map_err(|error| error.to_string())?;
        manager.attach(&self.name, &group, pid).map_err(|error| error.to_string())
    }

    /// The scope's place.
    pub(super) fn path(&self) -> &CgroupPath {
        self.scope.path()
    }
}
