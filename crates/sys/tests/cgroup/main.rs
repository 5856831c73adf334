//! Control groups of the machine that runs this: made, filled, limited, frozen, killed and removed, with
//! nothing left. Needs root. Runs on v1, hybrid and v2 hosts; what a host lacks is said, not skipped silently.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod devices;
mod lifecycle;
mod limits;
mod speed;
mod worker;

use sys::cgroup::{Cgroup, CgroupPath, Driver, Host};

type Check = (&'static str, fn());

const CHECKS: [Check; 19] = [
    ("a cgroup is made, filled and removed", lifecycle::made_filled_removed),
    ("a busy cgroup is refused", lifecycle::busy_is_refused),
    ("one that is gone is said to be", lifecycle::gone_is_said),
    ("freeze and thaw", lifecycle::freeze_and_thaw),
    ("kill, also frozen and below", lifecycle::kill_everything),
    ("removal waits for the dying", lifecycle::removal_waits),
    ("removal takes sub-cgroups along", lifecycle::removal_is_deep),
    ("a container with sub-cgroups is joined", lifecycle::joined_below),
    ("a parent with processes stays a domain", lifecycle::never_threaded_by_accident),
    ("processor limits", limits::cpu),
    ("memory limits up and down", limits::memory),
    ("process limits", limits::pids),
    ("block device limits", limits::block_io),
    ("huge pages and network classes", limits::huge_pages_and_network),
    ("out of memory is seen", limits::out_of_memory),
    ("what a host lacks is named", limits::missing_is_named),
    ("statistics", limits::statistics),
    ("devices", devices::rules),
    ("speed", speed::create_and_remove),
];

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    if std::env::args().any(|word| word == "--list") {
        return CHECKS.iter().for_each(|(name, _)| println!("{name}: test"));
    }
    let host = Host::get().expect("a cgroup hierarchy is mounted");
    println!("{:?} with {:?}", host.version(), host.controllers().unwrap().iter().collect::<Vec<_>>());
    println!("{:?}", host.features().unwrap());
    for (name, check) in
        CHECKS.iter().filter(|(name, _)| words.iter().all(|word| name.contains(word.as_str())))
    {
        println!("- {name}");
        check();
    }
    leave_nothing();
    println!("all passed");
}

/// The parent of all cgroups of this run.
fn parent() -> CgroupPath {
    CgroupPath::new(&format!("/sys-test-{}", std::process::id())).unwrap()
}

/// A new cgroup, removed with everything in it when dropped.
struct Scratch(Cgroup);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = CgroupPath::new(&format!("{}/{name}", parent())).unwrap();
        Self(Cgroup::create(&path, &Driver::Cgroupfs).unwrap())
    }
}

impl std::ops::Deref for Scratch {
    type Target = Cgroup;

    fn deref(&self) -> &Cgroup {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = self.0.kill();
        worker::reap_all();
        let removed = self.0.remove();
        if !std::thread::panicking() {
            removed.unwrap();
        }
    }
}

/// Every directory of `path` that exists, in any hierarchy.
fn existing(path: &CgroupPath) -> Vec<std::path::PathBuf> {
    let host = Host::get().unwrap();
    let mounts = host.v1.iter().map(|hierarchy| &hierarchy.mount).chain(&host.unified);
    mounts.map(|mount| mount.join(path.relative())).filter(|dir| dir.exists()).collect()
}

fn leave_nothing() {
    let path = parent();
    match Cgroup::open(&path) {
        Ok(cgroup) => cgroup.remove().unwrap(),
        Err(err) => assert_eq!(err.errno(), Some(sys::Errno::NOENT), "{err}"),
    }
    assert_eq!(existing(&path), Vec::<std::path::PathBuf>::new());
}
