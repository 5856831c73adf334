//! What an image may try (`security.md`).

use std::fs;
use std::os::unix::fs::symlink;

use crate::bundle::{Bundle, program};

#[test]
fn a_working_directory_that_is_a_descriptor() {
    // CVE-2024-21626: all of them, and by way of a link, too
    for n in (0..64).chain([255, 1023]) {
        let mut b = Bundle::new("true");
        b.spec["process"]["cwd"] = format!("/proc/self/fd/{n}").into();
        b.fails_with("chdir to cwd");
    }
    let mut b = Bundle::new("true");
    symlink("/proc/self/fd/7", b.rootfs().join("link")).unwrap();
    b.spec["process"]["cwd"] = "/link/../..".into();
    assert_ne!(b.run().code, 0);
    let mut b = Bundle::sleeping();
    b.start();
    for n in 3..32 {
        let ran = b.call(&["exec", "--cwd", &format!("/proc/self/fd/{n}"), &b.id, "true"]);
        assert_eq!(ran.code, 255, "{ran:?}");
    }
    b.end();
}

#[test]
fn symlinks_where_proc_and_sys_go() {
    for name in ["proc", "sys"] {
        let mut b = Bundle::new("true");
        fs::remove_dir(b.rootfs().join(name)).unwrap();
        symlink("/tmp", b.rootfs().join(name)).unwrap();
        b.fails_with("must be an ordinary directory");
        let mut b = Bundle::new("true");
        fs::remove_dir(b.rootfs().join(name)).unwrap();
        fs::write(b.rootfs().join(name), "").unwrap();
        b.fails_with("must be an ordinary directory");
    }
}

#[test]
fn a_dev_that_leads_elsewhere_stays_inside() {
    let before = fs::read_dir("/tmp").unwrap().count();
    let mut b = Bundle::new("ls -l /dev/; cat /proc/timer_list | wc -c");
    fs::remove_dir(b.rootfs().join("dev")).unwrap();
    symlink("../../../../../../tmp", b.rootfs().join("dev")).unwrap();
    let out = b.output();
    assert!(out.contains("null") && out.ends_with("0\n"), "{out}");
    assert!(!std::path::Path::new("/tmp/null").exists());
    let _ = before;
}

#[test]
fn a_false_null_device_masks_nothing_else() {
    // CVE-2025-31133: the image's own /dev/null is a link to what should be writable
    let mut b = Bundle::new(
        "stat -c %F:%t:%T /dev/null; { echo x > /proc/sysrq-trigger; } 2>/dev/null; cat /proc/timer_list | wc -c",
    );
    symlink("/proc/sys/kernel/core_pattern", b.rootfs().join("dev/null")).unwrap();
    b.spec["mounts"]
        .as_array_mut()
        .unwrap()
        .retain(|m| !m["destination"].as_str().unwrap().starts_with("/dev"));
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    assert_eq!(b.output(), "character special file:1:3\n0\n");
    assert_eq!(fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap(), pattern);
}

#[test]
fn a_link_where_the_console_goes() {
    // CVE-2025-52565
    let mut b = Bundle::new("true");
    b.spec["mounts"].as_array_mut().unwrap().retain(|m| m["destination"] != "/dev");
    fs::create_dir(b.rootfs().join("dev/pts")).unwrap();
    symlink("/etc/passwd", b.rootfs().join("dev/console")).unwrap();
    b.spec["process"]["terminal"] = true.into();
    let before = fs::read("/etc/passwd").unwrap();
    let listener = std::os::unix::net::UnixListener::bind(b.path().join("c")).unwrap();
    let _ = b.call_detached(&["run", "-d", "--console-socket", "c", &b.id]);
    drop(listener);
    assert_eq!(fs::read("/etc/passwd").unwrap(), before);
    b.end();
}

#[test]
fn the_runtime_s_own_file_can_not_be_written() {
    // CVE-2019-5736: the program is the runtime itself; and a look at it from inside while exec enters
    let hash = |path: &str| fs::read(path).unwrap();
    let before = hash(program());
    let mut b = Bundle::new("true");
    b.spec["process"]["args"] = serde_json::json!(["/proc/self/exe", "--version"]);
    let ran = b.run();
    assert!(ran.code == 0 || ran.err.contains("exec"), "{ran:?}");
    b.nothing_left();
    let mut b = Bundle::new(
        "i=0; while [ $i -lt 1000000 ]; do i=$((i+1)); for p in /proc/[0-9]*; do { echo x >> $p/exe; } 2>/dev/null && echo WROTE $p; done; done; true",
    );
    let all: Vec<String> = sys::caps::CapSet(!0).names();
    b.spec["process"]["capabilities"] =
        serde_json::json!({ "bounding": all, "permitted": all, "effective": all });
    let mut child = b.command(&["run", &b.id]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    crate::bundle::eventually("running", || b.call(&["state", &b.id]).out.contains("running"));
    for _ in 0..20 {
        let _ = b.call(&["exec", &b.id, "true"]);
    }
    let _ = b.call(&["kill", &b.id, "KILL"]);
    crate::bundle::finish(&mut child);
    assert_eq!(hash(program()), before);
    b.nothing_left();
}

#[test]
fn a_mount_target_that_is_swapped_all_the_time() {
    let mut b = Bundle::new("true");
    let (one, two) = (b.rootfs().join("swap"), b.rootfs().join("other"));
    fs::create_dir_all(one.join("sub")).unwrap();
    let outside = b.path().join("outside");
    fs::create_dir_all(outside.join("sub")).unwrap();
    symlink(&outside, &two).unwrap();
    b.mount("/swap/sub/target", "tmpfs", "tmpfs", &[]);
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let _ = rustix::fs::renameat_with(
                    rustix::fs::CWD,
                    &one,
                    rustix::fs::CWD,
                    &two,
                    rustix::fs::RenameFlags::EXCHANGE,
                );
            }
        });
        for _ in 0..30 {
            let _ = b.run();
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert_eq!(fs::read_dir(outside.join("sub")).unwrap().count(), 0, "made outside of the root");
    b.nothing_left();
}
