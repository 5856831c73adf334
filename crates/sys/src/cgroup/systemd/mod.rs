//! The systemd driver: systemd makes a scope unit, asked over the system bus.
//!
//! A scope lives as long as it has processes, and must be made with one. So a small process keeps it until the
//! container's own is in it. The container gets a sub-cgroup of the scope: systemd manages the attributes of the
//! unit's own directory (and would set them back at a reload), and leaves alone what lies below a delegated one.

mod bus;
mod users;
mod wire;

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fd::OwnedFd;

use self::bus::Bus;
pub use self::users::Manager;
use self::wire::{Body, Value};
use super::{CgroupPath, Error, Result};
use crate::process::{Child, CloneOptions, clone3, close_all_except, exit_now, set_parent_death_signal};
use crate::signal::Signal;

/// The container's sub-cgroup of its scope.
pub(super) const SUBGROUP: &str = "container";

/// A scope to be made, from the `slice:prefix:name` form of `cgroupsPath`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// The slice that the scope is in (`system.slice`).
    pub slice: String,
    /// The scope's name (`docker-0123.scope`), or a slice's.
    pub name: String,
}

impl Unit {
    /// Reads `slice:prefix:name`. An empty slice is `system.slice`; an empty prefix adds nothing; a name that
    /// ends in `.slice` is a slice itself.
    ///
    /// # Errors
    /// [`Error::Path`].
    pub fn parse(text: &str) -> Result<Self> {
        let fail = |reason| Error::Path { path: text.chars().take(255).collect(), reason };
        let mut parts = text.split(':');
        let (Some(slice), Some(prefix), Some(name), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(fail("must have the form slice:prefix:name for the systemd driver"));
        };
        if name.is_empty() || name.contains('/') || prefix.contains('/') {
            return Err(fail("must have a plain name after the second colon"));
        }
        let slice = if slice.is_empty() { "system.slice" } else { slice };
        slice_path(slice)
            .ok_or_else(|| fail("must have a slice that ends in .slice before the first colon"))?;
        let name = match prefix {
            _ if name.ends_with(".slice") => name.to_owned(),
            "" => format!("{name}.scope"),
            prefix => format!("{prefix}-{name}.scope"),
        };
        Ok(Self { slice: slice.to_owned(), name })
    }

    /// Where systemd puts the unit's cgroup: dashes in a slice's name are levels.
    ///
    /// # Errors
    /// [`Error::Path`] for a slice that isn't one.
    pub fn path(&self) -> Result<CgroupPath> {
        let slice = slice_path(&self.slice)
            .ok_or_else(|| Error::Path { path: self.slice.clone(), reason: "is not a slice's name" })?;
        CgroupPath::new(&format!("{slice}/{}", self.name))
    }
}

/// `a-b.slice` as `/a.slice/a-b.slice`; `-.slice` is the root.
fn slice_path(slice: &str) -> Option<String> {
    let stem = slice.strip_suffix(".slice")?;
    if stem == "-" {
        return Some(String::new());
    }
    if stem.is_empty() || stem.contains('/') || stem.split('-').any(str::is_empty) {
        return None;
    }
    let ends = stem.match_indices('-').map(|(at, _)| at).chain([stem.len()]);
    Some(ends.map(|end| format!("/{}.slice", &stem[..end])).collect())
}

/// A scope that systemd has made.
pub(super) struct Scope {
    name: String,
    /// The unit's own directory.
    unit: CgroupPath,
    /// The container's.
    path: CgroupPath,
    keeper: Mutex<Option<Keeper>>,
}

impl Scope {
    /// Asks systemd for the scope.
    pub(super) fn start(unit: &Unit) -> Result<Self> {
        let path = unit.path()?;
        let mut bus = Bus::connect(&bus::address())?;
        let is_slice = unit.name.ends_with(".slice");
        let keeper = if is_slice { None } else { Some(Keeper::start()?) };
        let pids = keeper.as_ref().map(|keeper| vec![keeper.pid().cast_unsigned()]);
        let body =
            Body::new().string(&unit.name).string("replace").properties(&properties(unit, pids)).no_units();
        let result = bus.job("StartTransientUnit", &body)?;
        if result != "done" {
            return Err(Error::Systemd(format!("the start of {} ended as {result}", unit.name)));
        }
        let name = unit.name.clone();
        Ok(Self { name, path: path.join(SUBGROUP)?, unit: path, keeper: Mutex::new(keeper) })
    }

    /// Where the container's processes belong.
    pub(super) fn path(&self) -> &CgroupPath {
        &self.path
    }

    /// The unit's own directory.
    pub(super) fn unit(&self) -> &CgroupPath {
        &self.unit
    }

    /// The process that keeps the scope alive, while there is one.
    pub(super) fn keeper(&self) -> Option<i32> {
        self.lock().as_ref().map(Keeper::pid)
    }

    /// Ends the keeper: the scope has another process, or is not needed any more.
    pub(super) fn release(&self) {
        drop(self.lock().take());
    }

    fn lock(&self) -> MutexGuard<'_, Option<Keeper>> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops the unit. One that systemd has collected already is what we wanted.
    pub(super) fn stop(&self) -> Result<()> {
        self.release();
        let mut bus = Bus::connect(&bus::address())?;
        match bus.job("StopUnit", &Body::new().string(&self.name).string("replace")) {
            Err(Error::Systemd(text)) if text.contains("org.freedesktop.systemd1.NoSuchUnit") => Ok(()),
            other => other.map(drop),
        }
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("name", &self.name).field("path", &self.path).finish_non_exhaustive()
    }
}

/// The unit's properties: everything below it is ours, all controllers on.
fn properties(unit: &Unit, pids: Option<Vec<u32>>) -> Vec<(&'static str, Value)> {
    let mut all = vec![
        ("Description", Value::Text(format!("container {}", unit.name))),
        ("DefaultDependencies", Value::Bool(false)),
        ("CPUAccounting", Value::Bool(true)),
        ("MemoryAccounting", Value::Bool(true)),
        ("IOAccounting", Value::Bool(true)),
        ("TasksAccounting", Value::Bool(true)),
    ];
    match pids {
        Some(pids) => {
            all.push(("Slice", Value::Text(unit.slice.clone())));
            all.push(("Delegate", Value::Bool(true)));
            all.push(("PIDs", Value::Numbers(pids)));
        }
        // A slice has its place in its name, and no processes of its own.
        None => all.push(("Wants", Value::Texts(vec![unit.slice.clone()]))),
    }
    all
}

/// A process that does nothing but be there. It ends when this value is dropped, or with its parent.
struct Keeper {
    child: Child,
    /// What it waits for the end of.
    leash: Option<OwnedFd>,
}

impl Keeper {
    fn start() -> Result<Self> {
        let fail = |errno| Error::Systemd(format!("cannot start the process that keeps the scope: {errno}"));
        let (wait, leash) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(fail)?;
        let child = clone3(&CloneOptions::default(), || {
            use rustix::fd::AsFd;
            // Nothing of the parent's may be held open here.
            let alone = close_all_except(0, &[wait.as_fd()]).and(set_parent_death_signal(Some(Signal::KILL)));
            if alone.is_ok() {
                let _ = rustix::io::retry_on_intr(|| rustix::io::read(&wait, &mut [0_u8]));
            }
            exit_now(0)
        });
        Ok(Self { child: child.map_err(fail)?, leash: Some(leash) })
    }

    fn pid(&self) -> i32 {
        self.child.pid.as_raw_nonzero().get()
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.leash.take());
        // Somebody who reaps all children may have been first.
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units() {
        let unit = Unit::parse("system.slice:docker:0123").unwrap();
        assert_eq!(unit.path().unwrap().as_str(), "/system.slice/docker-0123.scope");
        let unit = Unit::parse("user-1000-a.slice::x").unwrap();
        assert_eq!(unit.path().unwrap().as_str(), "/user.slice/user-1000.slice/user-1000-a.slice/x.scope");
        assert_eq!(Unit::parse(":berth:x").unwrap().path().unwrap().as_str(), "/system.slice/berth-x.scope");
        assert_eq!(Unit::parse("-.slice:b:x").unwrap().path().unwrap().as_str(), "/b-x.scope");
        for bad in [
            "",
            "a:b",
            "a.slice:b:",
            "a:b:c",
            "a--b.slice:p:n",
            "a.slice:p:n/m",
            "a.slice:p:n:o",
            "/a.slice:p:n",
        ] {
            assert!(Unit::parse(bad).is_err(), "{bad}");
        }
    }
}
