use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::Signal;
use sys::Errno;
use sys::cgroup::{Cgroup, Driver, Error, Host};
use sys::process::Exit;

use crate::{Scratch, existing, parent, worker};

pub(crate) fn made_filled_removed() {
    let cgroup = Scratch::new("filled");
    let host = Host::get().unwrap();
    let hierarchies = host.v1.len() + usize::from(host.unified.is_some());
    assert_eq!(existing(cgroup.path()).len(), hierarchies);
    let child = worker::start(&cgroup, worker::sleep);
    let pid = child.pid.as_raw_nonzero().get();
    assert_eq!(cgroup.procs().unwrap(), [pid]);

    // In every hierarchy, by the kernel's own account.
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    for line in text.lines() {
        let known =
            host.v1.iter().any(|one| line.contains(&format!(":{}:", one.options))) || line.starts_with("0:");
        assert!(!known || line.ends_with(cgroup.path().as_str()), "{line}");
    }
    let opened = Cgroup::open(cgroup.path()).unwrap();
    opened.signal_all(Signal::TERM).unwrap();
    assert!(matches!(worker::end(&child), Exit::Signal { .. }));
    cgroup.wait_empty(Duration::from_secs(5)).unwrap();
    cgroup.remove().unwrap();
    assert!(existing(cgroup.path()).is_empty());
    cgroup.remove().expect("a second removal finds nothing to do");
}

pub(crate) fn busy_is_refused() {
    let cgroup = Scratch::new("busy");
    let empty = Cgroup::create(cgroup.path(), &Driver::Cgroupfs).expect("an empty one is taken over");
    drop(empty);
    let _child = worker::start(&cgroup, worker::sleep);
    let refused = Cgroup::create(cgroup.path(), &Driver::Cgroupfs).unwrap_err();
    assert!(matches!(refused, Error::InUse { .. }), "{refused}");
    assert_eq!(cgroup.procs().unwrap().len(), 1, "and nothing happened to it");
}

pub(crate) fn gone_is_said() {
    let path = parent().join("never").unwrap();
    assert_eq!(Cgroup::open(&path).unwrap_err().errno(), Some(Errno::NOENT));
}

pub(crate) fn freeze_and_thaw() {
    let cgroup = Scratch::new("frozen");
    let (ticks, tick) = rustix::pipe::pipe().unwrap();
    let _child = worker::start(&cgroup, || {
        while rustix::io::write(&tick, b".").is_ok() {}
        0
    });
    drop(tick);
    assert!(!cgroup.is_frozen().unwrap());
    cgroup.freeze().unwrap();
    assert!(cgroup.is_frozen().unwrap());
    drain(&ticks);
    assert!(!ready_within(&ticks, Duration::from_millis(100)), "it ran while frozen");
    cgroup.thaw().unwrap();
    assert!(!cgroup.is_frozen().unwrap());
    assert!(ready_within(&ticks, Duration::from_secs(5)), "it runs on");
}

/// Reads what is in the pipe.
fn drain(fd: &rustix::fd::OwnedFd) {
    let mut bytes = [0_u8; 65536];
    while ready_within(fd, Duration::ZERO) {
        rustix::io::read(fd, &mut bytes).unwrap();
    }
}

fn ready_within(fd: &rustix::fd::OwnedFd, limit: Duration) -> bool {
    let timeout = Timespec::try_from(limit).unwrap();
    rustix::event::poll(&mut [PollFd::new(fd, PollFlags::IN)], Some(&timeout)).unwrap() > 0
}

pub(crate) fn kill_everything() {
    let cgroup = Scratch::new("killed");
    // On v2 a group with enabled controllers has no processes of its own.
    let left = Scratch::new("killed/left");
    let below = Scratch::new("killed/right/below");
    let first = worker::start(&left, worker::fork_one);
    assert_eq!(worker::end(&first), Exit::Code(0));
    let second = worker::start(&below, worker::sleep);
    assert_eq!(cgroup.procs().unwrap().len(), 2, "an orphan, and one below");
    cgroup.freeze().unwrap();
    cgroup.kill().unwrap();
    assert!(matches!(worker::end(&second), Exit::Signal { signal, .. } if signal.number() == 9));
    cgroup.wait_empty(Duration::from_secs(5)).unwrap();
    assert!(cgroup.procs().unwrap().is_empty());
    cgroup.kill().expect("killing nobody is fine");
}

pub(crate) fn removal_waits() {
    let cgroup = Scratch::new("dying");
    let child = worker::start(&cgroup, || worker::eat(64 << 20).max(worker::sleep()));
    cgroup.kill().unwrap();
    cgroup.remove().expect("it waits until the process is out");
    assert!(existing(cgroup.path()).is_empty());
    worker::end(&child);

    let busy = Scratch::new("stays");
    let _child = worker::start(&busy, worker::sleep);
    let begin = Instant::now();
    assert!(matches!(busy.wait_empty(Duration::from_millis(50)), Err(Error::NotEmpty { .. })));
    assert!(begin.elapsed() < Duration::from_secs(2));
}

pub(crate) fn removal_is_deep() {
    let cgroup = Scratch::new("deep");
    let path = cgroup.path().join("a").unwrap().join("b").unwrap().join("c").unwrap();
    Cgroup::create(&path, &Driver::Cgroupfs).unwrap();
    cgroup.remove().unwrap();
    assert!(existing(cgroup.path()).is_empty());
}

pub(crate) fn joined_below() {
    let cgroup = Scratch::new("joined");
    let first = worker::start(&cgroup, worker::sleep);
    assert!(cgroup.join_fd(first.pid.as_raw_nonzero().get()).unwrap().is_none(), "the group itself will do");
    cgroup.kill().unwrap();
    worker::end(&first);
    let inside = Scratch::new("joined/init");
    let init = worker::start(&inside, worker::sleep);
    let fd = cgroup.join_fd(init.pid.as_raw_nonzero().get()).unwrap();
    let Some(fd) = fd else {
        return assert_ne!(Host::get().unwrap().version(), sys::cgroup::Version::V2);
    };
    let options = sys::process::CloneOptions { cgroup: Some(fd.as_fd()), ..Default::default() };
    sys::process::clone3(&options, worker::sleep).unwrap();
    assert_eq!(inside.procs().unwrap().len(), 2);
}

pub(crate) fn never_threaded_by_accident() {
    let above = Scratch::new("above");
    let _child = worker::start(&above, worker::sleep);
    let _below = Scratch::new("above/below");
    for dir in existing(above.path()) {
        let kind = std::fs::read_to_string(dir.join("cgroup.type")).unwrap_or("domain\n".to_owned());
        assert_eq!(kind, "domain\n");
    }
    // The inner group goes first, and waits for every child of this process.
    above.kill().unwrap();
}
