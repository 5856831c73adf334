//! A user's own systemd: it gives the user's programs groups out of those that the machine's has delegated to it.

use std::path::PathBuf;

use super::super::{CgroupPath, Error, Result};
use super::bus::{self, Bus};
use super::wire::{Body, Value};
use super::{Unit, properties};

/// A systemd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Manager {
    /// The machine's.
    System,
    /// A user's.
    User {
        /// The user's directory for what lives as long as the session (`XDG_RUNTIME_DIR`).
        runtime: PathBuf,
        /// The user's number on the host, by which systemd knows us.
        uid: u32,
    },
}

impl Manager {
    /// Where a user's systemd listens for its own programs, as systemctl(1) knows; no bus is needed.
    fn socket(&self) -> Option<PathBuf> {
        match self {
            Self::System => None,
            Self::User { runtime, .. } => Some(runtime.join("systemd/private")),
        }
    }

    /// Whether there is what it is asked at.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.socket().unwrap_or_else(bus::address).exists()
    }

    pub(super) fn connect(&self) -> Result<Bus> {
        match (self, self.socket()) {
            (Self::User { uid, .. }, Some(socket)) => Bus::direct(&socket, *uid),
            _ => Bus::connect(&bus::address()),
        }
    }

    /// Whether all that it runs is about to go (`SystemState` is `stopping`). Blocks until systemd answers.
    ///
    /// # Errors
    /// There is no systemd, or it does not answer.
    pub fn is_stopping(&self) -> Result<bool> {
        Ok(self.connect()?.property("SystemState")? == "stopping")
    }

    /// Makes a scope of this name around a process, in which everything is the user's; or finds the one that there is,
    /// which other processes keep. It lives until the last process in it ends, whatever becomes of its maker, and
    /// systemd sets no attribute beneath it. When all ends, it ends after `owner`, a service which may still end what is
    /// in it in better ways: systemd's own way is one signal to all processes, again and again while there are new ones.
    /// The answer is its group.
    ///
    /// # Errors
    /// systemd is not reached, or refuses.
    pub fn delegate(&self, name: &str, pid: i32, owner: Option<String>) -> Result<CgroupPath> {
        let mut bus = self.connect()?;
        let unit = Unit { slice: "app.slice".to_owned(), name: name.to_owned() };
        let mut all = properties(&unit, Some(vec![pid.cast_unsigned()]));
        // a user's units have a limit by default, and a failed one would stay
        all.push(("TasksMax", Value::Long(u64::MAX)));
        all.extend(owner.map(|owner| ("Before", Value::Texts(vec![owner]))));
        all.push(("CollectMode", Value::Text("inactive-or-failed".to_owned())));
        let body = Body::new().string(name).string("fail").properties(&all).no_units();
        match bus.job("StartTransientUnit", &body) {
            Ok(result) if result == "done" => {}
            Ok(result) => return Err(Error::Systemd(format!("the start of {name} ended as {result}"))),
            Err(Error::Systemd(text)) if text.contains("org.freedesktop.systemd1.UnitExists") => {}
            Err(error) => return Err(error),
        }
        CgroupPath::new(&bus.property_of(name, "org.freedesktop.systemd1.Scope", "ControlGroup")?)
    }

    /// Takes a process of the user's into a group beneath such a scope, from wherever it is: where the user may not
    /// move it, the machine's systemd does. `group` begins with a slash, and is there.
    ///
    /// # Errors
    /// systemd is not reached, or refuses.
    pub fn attach(&self, scope: &str, group: &str, pid: i32) -> Result<()> {
        let body = Body::new().string(scope).string(group).numbers(&[pid.cast_unsigned()]);
        self.connect()?.ask("AttachProcessesToUnit", &body)
    }
}
