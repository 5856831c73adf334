use rustix::fs::{CWD, FileType, Mode, OFlags};
use sys::Errno;
use sys::cgroup::{DeviceAccess, DeviceKind, DeviceRule, Settings};
use sys::process::Exit;

use crate::{Scratch, worker};

fn rule(allow: bool, minor: u32, access: DeviceAccess) -> DeviceRule {
    DeviceRule { allow, kind: DeviceKind::Char, major: Some(1), minor: Some(minor), access }
}

/// The error number of an access to `/dev/<name>` from inside.
fn try_open(cgroup: &Scratch, name: &'static str, flags: OFlags) -> i32 {
    let child = worker::start(cgroup, || match rustix::fs::open(name, flags, Mode::empty()) {
        Ok(_) => 0,
        Err(errno) => errno.raw_os_error(),
    });
    match worker::end(&child) {
        Exit::Code(code) => code,
        signal => panic!("{signal:?}"),
    }
}

fn try_mknod(cgroup: &Scratch, path: &str, minor: u32) -> i32 {
    let device = rustix::fs::makedev(1, minor);
    let child = worker::start(cgroup, || {
        match rustix::fs::mknodat(CWD, path, FileType::CharacterDevice, Mode::RUSR, device) {
            Ok(()) => 0,
            Err(errno) => errno.raw_os_error(),
        }
    });
    match worker::end(&child) {
        Exit::Code(code) => code,
        signal => panic!("{signal:?}"),
    }
}

pub(crate) fn rules() {
    let cgroup = Scratch::new("devices");
    let set = |rules: &[DeviceRule]| {
        cgroup.apply(&Settings { devices: Some(rules.to_vec()), ..Settings::default() }).unwrap();
    };
    let (null, zero) = ("/dev/null", "/dev/zero");
    let refused = Errno::PERM.raw_os_error();
    assert_eq!(try_open(&cgroup, null, OFlags::RDWR), 0, "no list yet");

    set(&[rule(true, 3, DeviceAccess::ALL), rule(true, 5, DeviceAccess::READ)]);
    assert_eq!(try_open(&cgroup, null, OFlags::RDWR), 0);
    assert_eq!(try_open(&cgroup, zero, OFlags::RDONLY), 0);
    assert_eq!(try_open(&cgroup, zero, OFlags::WRONLY), refused);
    assert_eq!(try_open(&cgroup, "/dev/urandom", OFlags::RDONLY), refused);

    // An update takes the place of the list; at no moment does it add to it.
    set(&[rule(true, 5, DeviceAccess::ALL)]);
    assert_eq!(try_open(&cgroup, null, OFlags::RDONLY), refused);
    assert_eq!(try_open(&cgroup, zero, OFlags::RDWR), 0);

    let node = format!("{}/sys-test-{}", std::env::temp_dir().display(), std::process::id());
    assert_eq!(try_mknod(&cgroup, &node, 3), refused);
    set(&[rule(true, 3, DeviceAccess::MKNOD)]);
    assert_eq!(try_mknod(&cgroup, &node, 3), 0);
    std::fs::remove_file(&node).unwrap();

    let everything = DeviceRule {
        allow: true,
        kind: DeviceKind::All,
        major: None,
        minor: None,
        access: DeviceAccess::ALL,
    };
    set(&[everything]);
    assert_eq!(try_open(&cgroup, "/dev/urandom", OFlags::RDWR), 0, "privileged");
    set(&[everything, rule(false, 9, DeviceAccess::WRITE)]);
    assert_eq!(try_open(&cgroup, "/dev/urandom", OFlags::RDONLY), 0);
    assert_eq!(try_open(&cgroup, "/dev/urandom", OFlags::WRONLY), refused);
}
