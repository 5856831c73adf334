//! runtime.md, "Operations".

use std::fs;

use crate::bundle::{Bundle, FOREVER, eventually};

/// Leaves its mark in the bundle when the program runs; the mark is in the root file system.
const MARK: &str = "echo ran > /mark; exec sleep 1000";

fn ran(b: &Bundle<'_>) -> bool {
    b.rootfs().join("mark").exists()
}

requirements! {
    /// `state` must be an error without an id.
    state_must_error_without_id(r) {
        Bundle::new(r, FOREVER).call(&["state"]).refused();
    }

    /// `state` must be an error for a container that does not exist.
    state_must_error_for_unknown_container(r) {
        let b = Bundle::new(r, FOREVER);
        b.call(&["state", &b.id]).refused();
    }

    /// `state` must return the container's state.
    state_must_return_the_state(r) {
        let b = Bundle::new(r, FOREVER);
        b.create_and_start();
        assert_eq!((b.state()["id"].clone(), b.status()), (b.id.clone().into(), "running".into()));
    }

    /// `create` must be an error without an id.
    create_must_error_without_id(r) {
        let b = Bundle::new(r, FOREVER);
        b.write();
        b.call(&["create"]).refused();
    }

    /// `create` must be an error without a bundle.
    create_must_error_without_bundle(r) {
        let b = Bundle::new(r, FOREVER);
        b.call(&["create", &b.id]).refused();
        b.call(&["create", "--bundle", "/nonexistent", &b.id]).refused();
    }

    /// `create` must be an error for an id that is taken, and a new container must not be made.
    create_must_error_for_used_id(r) {
        let b = Bundle::new(r, FOREVER);
        b.create_and_start();
        let pid = b.pid();
        b.create().refused();
        assert_eq!((b.status(), b.pid()), ("running".into(), pid));
    }

    /// `create` must be an error for an id that is not valid, and a container must not be made.
    create_must_error_for_invalid_id(r) {
        let b = Bundle::new(r, FOREVER);
        b.write();
        for id in ["a/b", "..", ""] {
            b.call(&["create", id]).refused();
        }
        let left = fs::read_dir(b.state_root()).map(Iterator::count).unwrap_or(0);
        assert_eq!(left, 0);
    }

    /// `create` must make a new container.
    create_must_create_a_container(r) {
        let b = Bundle::new(r, FOREVER);
        b.create().ok();
        assert!(Bundle::lives(b.pid()));
    }

    /// `create` must apply everything of `config.json` but `process`.
    create_must_apply_the_configuration(r) {
        let mut b = Bundle::new(r, FOREVER);
        b.spec["linux"]["resources"] = serde_json::json!({ "pids": { "limit": 77 } });
        b.mount("/tmp", "tmpfs", "tmpfs", &["size=1m"]);
        b.create().ok();
        assert_eq!(fs::read_to_string(b.cgroup("pids").join("pids.max")).unwrap(), "77\n");
        let mounts = fs::read_to_string(format!("/proc/{}/mountinfo", b.pid())).unwrap();
        assert!(mounts.contains(" /tmp "), "{mounts}");
    }

    /// `create` must not run the program.
    create_must_not_run_the_program(r) {
        let b = Bundle::new(r, MARK);
        b.create().ok();
        assert!(!ran(&b));
        b.start().ok();
        eventually("the program", || ran(&b));
    }

    /// `create` that cannot do what `config.json` says must be an error, and a container must not be made.
    create_must_error_and_make_nothing_if_it_cannot(r) {
        let mut b = Bundle::new(r, FOREVER);
        b.mount("/x", "no-such-filesystem", "none", &[]);
        b.is_refused();
    }

    /// After `create` the status must be `created`.
    status_must_be_created_after_create(r) {
        let b = Bundle::new(r, FOREVER);
        b.create().ok();
        assert_eq!(b.status(), "created");
    }

    /// `start` must be an error without an id.
    start_must_error_without_id(r) {
        Bundle::new(r, FOREVER).call(&["start"]).refused();
    }

    /// `start` must be an error for a container that does not exist.
    start_must_error_for_unknown_container(r) {
        Bundle::new(r, FOREVER).start().refused();
    }

    /// `start` of a container that runs must be an error, and have no effect.
    start_must_error_for_a_running_container(r) {
        let b = Bundle::new(r, "echo x >> /mark; exec sleep 1000");
        b.create_and_start();
        eventually("the program", || ran(&b));
        let pid = b.pid();
        b.start().refused();
        assert_eq!((b.status(), b.pid()), ("running".into(), pid));
        assert_eq!(fs::read_to_string(b.rootfs().join("mark")).unwrap(), "x\n");
    }

    /// `start` of a container that has stopped must be an error, and have no effect.
    start_must_error_for_a_stopped_container(r) {
        let b = Bundle::new(r, "echo x >> /mark");
        b.create_and_start();
        b.until_stopped();
        b.start().refused();
        assert_eq!(b.status(), "stopped");
        assert_eq!(fs::read_to_string(b.rootfs().join("mark")).unwrap(), "x\n");
    }

    /// `start` must run the program.
    start_must_run_the_program(r) {
        let b = Bundle::new(r, MARK);
        b.create_and_start();
        eventually("the program", || ran(&b));
    }

    /// `start` must be an error when `process` is not set.
    start_must_error_without_process(r) {
        let mut b = Bundle::new(r, FOREVER);
        b.spec.as_object_mut().unwrap().remove("process");
        // a runtime that has not made it has nothing to start
        if b.create().code == 0 {
            b.start().refused();
        }
        let ran = b.call(&["state", &b.id]);
        assert!(!ran.out.contains("running"), "{ran:?}");
    }

    /// After `start` the status must be `running`.
    status_must_be_running_after_start(r) {
        let b = Bundle::new(r, FOREVER);
        b.create_and_start();
        assert_eq!(b.status(), "running");
    }

    /// `kill` must be an error without an id.
    kill_must_error_without_id(r) {
        Bundle::new(r, FOREVER).call(&["kill"]).refused();
    }

    /// `kill` must be an error for a container that is neither created nor running: one that does not exist.
    kill_must_error_for_unknown_container(r) {
        let b = Bundle::new(r, FOREVER);
        b.call(&["kill", &b.id, "TERM"]).refused();
    }

    /// `kill` must be an error for a container that is neither created nor running: one that has stopped.
    kill_must_error_for_a_stopped_container(r) {
        let b = Bundle::new(r, "true");
        b.create_and_start();
        b.until_stopped();
        b.call(&["kill", &b.id, "TERM"]).refused();
        assert_eq!(b.status(), "stopped");
    }

    /// `kill` must send the signal to the process.
    kill_must_send_the_signal(r) {
        for (name, mark) in [("USR1", "one"), ("12", "two")] {
            let b = Bundle::new(
                r,
                "trap 'echo one > /got; exit' USR1; trap 'echo two > /got; exit' USR2; echo > /mark; \
                 while :; do sleep 0.01; done",
            );
            b.create_and_start();
            eventually("the trap", || ran(&b));
            b.kill(name);
            b.until_stopped();
            assert_eq!(fs::read_to_string(b.rootfs().join("got")).unwrap().trim(), mark);
        }
    }

    /// `kill` must send the signal to the process of a container that is created.
    kill_must_reach_a_created_container(r) {
        let b = Bundle::new(r, MARK);
        b.create().ok();
        b.kill("KILL");
        b.until_stopped();
        assert!(!ran(&b));
    }

    /// The status must be `stopped` when the process has been killed.
    status_must_be_stopped_after_kill(r) {
        let b = Bundle::new(r, FOREVER);
        b.create_and_start();
        b.kill("KILL");
        b.until_stopped();
    }

    /// The status must be `stopped` when the process has ended by itself.
    status_must_be_stopped_after_exit(r) {
        let b = Bundle::new(r, "exit 3");
        b.create_and_start();
        b.until_stopped();
    }

    /// `delete` must be an error without an id.
    delete_must_error_without_id(r) {
        Bundle::new(r, FOREVER).call(&["delete"]).refused();
    }

    /// `delete` must be an error for a container that does not exist.
    delete_must_error_for_unknown_container(r) {
        let b = Bundle::new(r, FOREVER);
        b.call(&["delete", &b.id]).refused();
    }

    /// `delete` of a container that runs must be an error, and have no effect.
    delete_must_error_for_a_running_container(r) {
        let b = Bundle::new(r, FOREVER);
        b.create_and_start();
        let pid = b.pid();
        b.call(&["delete", &b.id]).refused();
        assert_eq!((b.status(), b.pid()), ("running".into(), pid));
    }

    /// `delete` of a container that is created, but not stopped, must be an error, and have no effect.
    [departs
        berth: "like runc, which has always killed what waits for its start: containerd and Podman rely on it",
        runc: "kills the process that waits, and deletes the container",
        crun: "kills the process that waits, and deletes the container"]
    delete_must_error_for_a_created_container(r) {
        let b = Bundle::new(r, FOREVER);
        b.create().ok();
        b.call(&["delete", &b.id]).refused();
        assert_eq!(b.status(), "created");
    }

    /// `delete` must delete what `create` has made.
    delete_must_delete_the_resources(r) {
        let b = Bundle::new(r, FOREVER);
        b.create_and_start();
        let (pid, cgroup) = (b.pid(), b.cgroup("pids"));
        assert!(cgroup.exists());
        b.kill("KILL");
        b.until_stopped();
        b.call(&["delete", &b.id]).ok();
        assert!(!cgroup.exists());
        assert!(!Bundle::lives(pid));
        b.call(&["state", &b.id]).refused();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(b.path().to_str().unwrap()), "{mounts}");
    }

    /// What belongs to a container and was not made by it must not be deleted.
    delete_must_not_delete_what_it_did_not_create(r) {
        let owner = Bundle::new(r, FOREVER);
        owner.create_and_start();
        let network = format!("/proc/{}/ns/net", owner.pid());
        let mut b = Bundle::new(r, "touch /data/made; exec sleep 1000");
        let data = b.path().join("data");
        fs::create_dir(&data).unwrap();
        fs::write(data.join("kept"), "kept").unwrap();
        b.mount("/data", "bind", data.to_str().unwrap(), &["bind"]);
        b.namespaces().retain(|n| n["type"] != "network");
        b.namespaces().push(serde_json::json!({ "type": "network", "path": network }));
        b.create_and_start();
        eventually("the program", || data.join("made").exists());
        b.end();
        assert_eq!(fs::read_to_string(data.join("kept")).unwrap(), "kept");
        assert!(b.rootfs().join("bin/busybox").exists() && fs::exists(&network).unwrap());
        assert_eq!(owner.status(), "running");
    }

    /// The id of a deleted container can be used again (MAY; what must not be is that the former one is in the way).
    deleted_id_may_be_used_again(r) {
        let b = Bundle::new(r, FOREVER);
        b.create().ok();
        b.end();
        b.create().ok();
        assert_eq!(b.status(), "created");
    }
}
