//! runtime.md, "Lifecycle".

use std::fs;

use serde_json::json;

use crate::bundle::{Bundle, FOREVER};

requirements! {
    /// The environment must be made as `config.json` says, before the program.
    environment_must_be_created_according_to_config(r) {
        let mut b = Bundle::new(r, FOREVER);
        b.spec["hostname"] = "from-config".into();
        b.create().ok();
        let of = |pid: &str, kind: &str| fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap();
        let pid = b.pid().to_string();
        for kind in ["pid", "mnt", "ipc", "uts", "net"] {
            assert_ne!(of(&pid, kind), of("self", kind), "{kind}");
        }
    }

    /// An environment that can't be made must be an error.
    environment_that_cannot_be_created_must_be_an_error(r) {
        let mut b = Bundle::new(r, FOREVER);
        b.mount("/x", "bind", "/no/such/source", &["bind"]);
        b.is_refused();
    }

    /// Resources must be there when the container is created.
    resources_must_be_created_by_create(r) {
        let mut b = Bundle::new(r, FOREVER);
        b.spec["linux"]["resources"] = json!({ "memory": { "limit": 33_554_432 } });
        b.create().ok();
        let v1 = b.cgroup("memory").join("memory.limit_in_bytes");
        let file = if v1.exists() { v1 } else { b.cgroup("memory").join("memory.max") };
        assert_eq!(fs::read_to_string(file).unwrap().trim(), "33554432");
    }

    /// A change of `config.json` after `create` must not affect the container.
    changed_config_must_not_affect_the_container(r) {
        let mut b = Bundle::new(r, "echo first > /mark");
        b.create().ok();
        b.spec["process"]["args"] = json!(["sh", "-c", "echo second > /mark"]);
        b.write();
        b.start().ok();
        b.until_stopped();
        assert_eq!(fs::read_to_string(b.rootfs().join("mark")).unwrap(), "first\n");
    }

    /// `prestart` hooks must be invoked by `create`.
    prestart_hooks_must_be_invoked(r) {
        invoked_by_create(r, "prestart");
    }

    /// A `prestart` hook that fails must be an error that ends the container.
    failed_prestart_hook_must_end_the_container(r) {
        fails_create(r, "prestart");
    }

    /// `createRuntime` hooks must be invoked by `create`.
    create_runtime_hooks_must_be_invoked(r) {
        invoked_by_create(r, "createRuntime");
    }

    /// A `createRuntime` hook that fails must be an error that ends the container.
    failed_create_runtime_hook_must_end_the_container(r) {
        fails_create(r, "createRuntime");
    }

    /// `createContainer` hooks must be invoked by `create`.
    create_container_hooks_must_be_invoked(r) {
        invoked_by_create(r, "createContainer");
    }

    /// A `createContainer` hook that fails must be an error that ends the container.
    failed_create_container_hook_must_end_the_container(r) {
        fails_create(r, "createContainer");
    }

    /// `startContainer` hooks must be invoked by `start`.
    start_container_hooks_must_be_invoked(r) {
        let mut b = Bundle::new(r, FOREVER);
        b.spec["hooks"]["startContainer"] = json!([{ "path": "/bin/sh", "args": ["sh", "-c", "echo > /hook"],
            "env": ["PATH=/bin"] }]);
        b.create().ok();
        assert!(!b.rootfs().join("hook").exists());
        b.start().ok();
        crate::bundle::eventually("the hook", || b.rootfs().join("hook").exists());
    }

    /// A `startContainer` hook that fails must be an error, and the container must stop without its program.
    [departs runc: "start has answered before the hook has run",
        crun: "start has answered before the hook has run"]
    failed_start_container_hook_must_be_an_error(r) {
        let b = failing_start_hook(r);
        b.create().ok();
        b.start().refused();
        b.until_stopped();
        assert!(!b.rootfs().join("mark").exists());
    }

    /// A `startContainer` hook that fails must keep the program from running.
    failed_start_container_hook_must_stop_the_container(r) {
        let b = failing_start_hook(r);
        b.create().ok();
        b.start();
        b.until_stopped();
        assert!(!b.rootfs().join("mark").exists());
    }

    /// The program must be the one of `process`.
    program_must_be_the_one_of_process(r) {
        let mut b = Bundle::new(r, "");
        b.spec["process"]["args"] = json!(["echo", "one", "two three"]);
        assert_eq!(b.output(), "one two three\n");
    }

    /// `poststart` hooks must be invoked.
    poststart_hooks_must_be_invoked(r) {
        let mut b = Bundle::new(r, FOREVER);
        let note = format!("echo poststart > {}/note", b.path().display());
        b.hook("poststart", &note).create_and_start();
        assert_eq!(b.told("note"), "poststart\n");
    }

    /// A `poststart` hook that fails must be an error (1.2.1; a warning before that).
    [departs crun: "warns, as the specification had it up to 1.2.0"]
    failed_poststart_hook_must_be_an_error(r) {
        let mut b = Bundle::new(r, FOREVER);
        b.hook("poststart", "exit 4");
        let created = b.create();
        assert!(created.code != 0 || b.start().code != 0);
    }

    /// A `poststart` hook that fails must stop the container.
    [departs crun: "warns, as the specification had it up to 1.2.0"]
    failed_poststart_hook_must_stop_the_container(r) {
        let mut b = Bundle::new(r, FOREVER);
        b.hook("poststart", "exit 4");
        if b.create().code == 0 {
            b.start();
        }
        crate::bundle::eventually("its end", || !b.call(&["state", &b.id]).out.contains("running"));
    }

    /// `delete` must undo what `create` has done.
    delete_must_undo_the_steps_of_create(r) {
        let b = Bundle::new(r, FOREVER);
        b.create().ok();
        let (pid, cgroup) = (b.pid(), b.cgroup("memory"));
        assert!(cgroup.exists());
        b.end();
        assert!(!cgroup.exists() && !Bundle::lives(pid));
        let left = fs::read_dir(b.state_root()).map(Iterator::count).unwrap_or(0);
        assert_eq!(left, 0);
    }

    /// `poststop` hooks must be invoked.
    poststop_hooks_must_be_invoked(r) {
        let mut b = Bundle::new(r, "true");
        let note = format!("echo poststop > {}/note", b.path().display());
        b.hook("poststop", &note).create_and_start();
        b.until_stopped();
        assert!(!b.path().join("note").exists());
        b.call(&["delete", &b.id]).ok();
        assert_eq!(b.told("note"), "poststop\n");
    }

    /// A `poststop` hook that fails must be a warning; the hooks after it are run, and the container is gone.
    [departs runc: "leaves out the hooks after the one that fails", crun: "says nothing"]
    failed_poststop_hook_must_be_a_warning(r) {
        let mut b = Bundle::new(r, "true");
        let note = format!("echo second > {}/note", b.path().display());
        b.hook("poststop", "exit 4").hook("poststop", &note).create_and_start();
        b.until_stopped();
        let ran = b.call(&["delete", &b.id]);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(!ran.err.is_empty(), "no warning");
        assert_eq!(b.told("note"), "second\n");
        b.call(&["state", &b.id]).refused();
    }
}

fn invoked_by_create(r: &crate::subject::Subject, place: &str) {
    let mut b = Bundle::new(r, FOREVER);
    let note = format!("echo {place} > {}/note", b.path().display());
    b.hook(place, &note).create().ok();
    assert_eq!(fs::read_to_string(b.path().join("note")).unwrap().trim(), place);
}

fn fails_create(r: &crate::subject::Subject, place: &str) {
    let mut b = Bundle::new(r, FOREVER);
    b.hook(place, "exit 4").is_refused();
    assert!(!b.cgroup("pids").exists());
}

fn failing_start_hook(r: &crate::subject::Subject) -> Bundle<'_> {
    let mut b = Bundle::new(r, "echo > /mark");
    b.spec["hooks"]["startContainer"] = json!([{ "path": "/bin/false", "args": ["false"] }]);
    b
}
