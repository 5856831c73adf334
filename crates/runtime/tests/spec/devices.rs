//! config-linux.md, "Devices" and default devices; runtime-linux.md.

use serde_json::json;

use crate::bundle::Bundle;

fn device(path: &str, typ: &str, major: u32, minor: u32) -> serde_json::Value {
    json!({ "path": path, "type": typ, "major": major, "minor": minor, "fileMode": 0o640, "uid": 7, "gid": 8 })
}

fn is_supplied(r: &crate::subject::Subject, path: &str, number: &str) {
    let b = Bundle::new(r, &format!("stat -c '%F %t:%T' {path}"));
    assert_eq!(b.output(), format!("character special file {number}\n"));
}

requirements! {
    /// Character devices that are listed must be there, with mode and owner.
    character_devices_must_be_available(r) {
        let mut b = Bundle::new(r, "stat -c '%F %t:%T %a %u:%g' /dev/some");
        b.spec["linux"]["devices"] = json!([device("/dev/some", "c", 10, 229)]);
        assert_eq!(b.output(), "character special file a:e5 640 7:8\n");
    }

    /// Unbuffered character devices that are listed must be there.
    unbuffered_character_devices_must_be_available(r) {
        let mut b = Bundle::new(r, "stat -c '%F %t:%T' /dev/some");
        b.spec["linux"]["devices"] = json!([device("/dev/some", "u", 10, 229)]);
        assert_eq!(b.output(), "character special file a:e5\n");
    }

    /// Block devices that are listed must be there.
    block_devices_must_be_available(r) {
        let mut b = Bundle::new(r, "stat -c '%F %t:%T' /dev/some");
        b.spec["linux"]["devices"] = json!([device("/dev/some", "b", 7, 0)]);
        assert_eq!(b.output(), "block special file 7:0\n");
    }

    /// FIFOs that are listed must be there.
    fifos_must_be_available(r) {
        let mut b = Bundle::new(r, "stat -c %F /dev/some");
        b.spec["linux"]["devices"] = json!([{ "path": "/dev/some", "type": "p", "fileMode": 438 }]);
        assert_eq!(b.output(), "fifo\n");
    }

    /// Devices may be anywhere in the file system.
    devices_may_be_outside_of_dev(r) {
        let mut b = Bundle::new(r, "stat -c '%F %t:%T' /some/where");
        b.spec["linux"]["devices"] = json!([device("/some/where", "c", 10, 229)]);
        assert_eq!(b.output(), "character special file a:e5\n");
    }

    /// A file that is there and is not the device must be an error.
    [departs berth: "a file of the image gives way to the device, as images with an empty /dev/null need it: Docker's",
        runc: "takes it as it is", crun: "takes it as it is"]
    file_in_the_way_of_a_device_must_be_an_error(r) {
        let mut b = Bundle::new(r, "true");
        std::fs::write(b.rootfs().join("some"), "").unwrap();
        b.spec["linux"]["devices"] = json!([device("/some", "c", 10, 229)]);
        b.is_refused();
    }

    /// `/dev/null` must be supplied.
    dev_null_must_be_supplied(r) { is_supplied(r, "/dev/null", "1:3"); }
    /// `/dev/zero` must be supplied.
    dev_zero_must_be_supplied(r) { is_supplied(r, "/dev/zero", "1:5"); }
    /// `/dev/full` must be supplied.
    dev_full_must_be_supplied(r) { is_supplied(r, "/dev/full", "1:7"); }
    /// `/dev/random` must be supplied.
    dev_random_must_be_supplied(r) { is_supplied(r, "/dev/random", "1:8"); }
    /// `/dev/urandom` must be supplied.
    dev_urandom_must_be_supplied(r) { is_supplied(r, "/dev/urandom", "1:9"); }
    /// `/dev/tty` must be supplied.
    dev_tty_must_be_supplied(r) { is_supplied(r, "/dev/tty", "5:0"); }

    /// `/dev/console` must be the terminal, with `terminal`.
    dev_console_must_be_the_terminal(r) {
        let mut b = Bundle::new(r, "stat -c %t:%T /dev/console > /note; exec sleep 1000");
        b.spec["process"]["terminal"] = true.into();
        let (_listener, _master) = crate::process::with_console(&b);
        b.start().ok();
        // 136 is the first major number of Unix98 terminals
        assert!(b.told("rootfs/note").starts_with("88:"));
    }

    /// `/dev/ptmx` must be supplied, as the one of the container's devpts.
    dev_ptmx_must_be_supplied(r) {
        let b = Bundle::new(r, "stat -L -c '%F %t:%T' /dev/ptmx; readlink /dev/ptmx");
        let out = b.output();
        assert!(out.starts_with("character special file 5:2\n"), "{out}");
        assert!(out.contains("pts/ptmx"), "{out}");
    }

    /// `/dev/fd` must link to `/proc/self/fd`.
    dev_fd_must_be_a_link(r) { links(r, "/dev/fd", "/proc/self/fd"); }
    /// `/dev/stdin` must link to `/proc/self/fd/0`.
    dev_stdin_must_be_a_link(r) { links(r, "/dev/stdin", "/proc/self/fd/0"); }
    /// `/dev/stdout` must link to `/proc/self/fd/1`.
    dev_stdout_must_be_a_link(r) { links(r, "/dev/stdout", "/proc/self/fd/1"); }
    /// `/dev/stderr` must link to `/proc/self/fd/2`.
    dev_stderr_must_be_a_link(r) { links(r, "/dev/stderr", "/proc/self/fd/2"); }

    /// By default only the three standard streams are open.
    only_the_standard_streams_are_open(r) {
        // ls has one of its own, for the directory
        let b = Bundle::new(r, "exec ls /proc/self/fd");
        assert_eq!(b.output().split_whitespace().collect::<Vec<_>>(), ["0", "1", "2", "3"]);
    }

    /// Entries of the list of allowed devices must be applied in their order.
    allowed_devices_must_be_applied_in_order(r) {
        // a device that no runtime allows by itself
        let script = "mknod /tmp/d c 10 237 && { : < /tmp/d; } 2>/dev/null && echo opened";
        let deny = json!({ "allow": false, "access": "rwm" });
        let make = json!({ "allow": true, "type": "c", "access": "m" });
        let loops = json!({ "allow": true, "type": "c", "major": 10, "minor": 237, "access": "rw" });
        for (list, wanted) in [([deny.clone(), make.clone(), loops.clone()], "opened\n"), ([loops, deny, make], "")] {
            let mut b = Bundle::new(r, script);
            b.spec["process"]["capabilities"] = json!({ "bounding": ["CAP_MKNOD"], "permitted": ["CAP_MKNOD"],
                "effective": ["CAP_MKNOD"] });
            b.spec["linux"]["resources"] = json!({ "devices": list });
            assert_eq!(b.run().out, wanted, "{list:?}");
        }
    }
}

fn links(r: &crate::subject::Subject, path: &str, wanted: &str) {
    let b = Bundle::new(r, &format!("readlink {path}"));
    assert_eq!(b.output().trim(), wanted);
}
