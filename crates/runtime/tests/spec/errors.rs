//! runtime.md, "Errors" and "Warnings".

use std::fs;

use crate::bundle::{Bundle, FOREVER};

fn no_trace(b: &Bundle<'_>) {
    let left = fs::read_dir(b.state_root()).map(Iterator::count).unwrap_or(0);
    assert_eq!(left, 0, "state");
    assert!(!b.has_cgroup(), "cgroup");
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(b.path().to_str().unwrap()), "{mounts}");
}

requirements! {
    /// `create` that is an error must leave everything as if it had never been tried.
    failed_create_must_leave_everything_as_it_was(r) {
        let mut b = Bundle::new(r, FOREVER);
        b.spec["process"]["args"] = serde_json::json!(["no-such-program"]);
        let ran = b.create();
        // some look for the program only when it is to run
        if ran.code == 0 {
            b.start().refused();
            b.end();
        }
        no_trace(&b);
    }

    /// `create` that fails late, at a mount, must leave everything as it was.
    failed_mount_must_leave_everything_as_it_was(r) {
        let mut b = Bundle::new(r, FOREVER);
        b.mount("/tmp", "tmpfs", "tmpfs", &[]).mount("/tmp/x", "no-such-filesystem", "x", &[]);
        b.is_refused();
        no_trace(&b);
    }

    /// An operation on a running container that is an error must leave it running.
    failed_operation_must_leave_the_container_as_it_was(r) {
        let b = Bundle::new(r, FOREVER);
        b.create_and_start();
        let before = b.state();
        b.start().refused();
        b.call(&["delete", &b.id]).refused();
        assert_eq!(b.state(), before);
    }

    /// A warning must not change what is done.
    warning_must_not_change_the_operation(r) {
        let mut b = Bundle::new(r, FOREVER);
        b.hook("poststop", "exit 4").create_and_start();
        b.kill("KILL");
        b.until_stopped();
        b.call(&["delete", &b.id]).ok();
        no_trace(&b);
    }
}
