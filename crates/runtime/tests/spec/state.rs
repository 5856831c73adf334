//! runtime.md, "Scope of a Container" and "State".

use serde_json::json;

use crate::bundle::{Bundle, FOREVER};

requirements! {
    /// Whoever creates a container must be able to use the operations on it.
    creator_must_be_able_to_use_the_operations(r) {
        let b = Bundle::new(r, FOREVER);
        b.create().ok();
        assert_eq!(b.status(), "created");
        b.start().ok();
        assert_eq!(b.status(), "running");
        b.kill("KILL");
        b.until_stopped();
        b.call(&["delete", &b.id]).ok();
    }

    /// The state has `ociVersion`, a version of the specification.
    state_must_have_oci_version(r) {
        let b = Bundle::new(r, FOREVER);
        b.create().ok();
        let version = b.state()["ociVersion"].as_str().unwrap().to_owned();
        assert!(version.starts_with("1.") && version.split('.').count() >= 3, "{version}");
    }

    /// The state has `id`, which is the container's.
    state_must_have_id(r) {
        let b = Bundle::new(r, FOREVER);
        b.create().ok();
        assert_eq!(b.state()["id"], b.id);
    }

    /// The state has `status`.
    state_must_have_status(r) {
        let b = Bundle::new(r, FOREVER);
        b.create().ok();
        assert!(["creating", "created", "running", "stopped"].contains(&b.status().as_str()));
    }

    /// A `status` that the specification does not know must stand for a state that it does not know.
    additional_status_must_be_for_a_new_state(r) {
        let b = Bundle::new(r, FOREVER);
        b.create_and_start();
        b.call(&["pause", &b.id]).ok();
        assert!(!["creating", "created", "running", "stopped"].contains(&b.status().as_str()));
        b.call(&["resume", &b.id]).ok();
        assert_eq!(b.status(), "running");
    }

    /// The state has `pid` when the container is created: the process as the host sees it.
    state_must_have_pid_when_created(r) {
        let b = Bundle::new(r, FOREVER);
        b.create().ok();
        let of = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/pid")).unwrap();
        assert_ne!(of(&b.pid().to_string()), of("self"));
    }

    /// The state has `pid` when the container runs.
    state_must_have_pid_when_running(r) {
        let b = Bundle::new(r, FOREVER);
        b.create_and_start();
        let path = format!("/proc/{}/cmdline", b.pid());
        crate::bundle::eventually("the program", || {
            std::fs::read(&path).unwrap().starts_with(b"sleep\x001000")
        });
    }

    /// The state has `bundle`, an absolute path.
    state_must_have_absolute_bundle(r) {
        let b = Bundle::new(r, FOREVER);
        b.write();
        b.call(&["create", "--bundle", ".", &b.id]).ok();
        assert_eq!(b.state()["bundle"].as_str(), b.path().to_str());
    }

    /// The state's JSON must have the given form; annotations are a map of strings.
    state_json_must_adhere_to_the_pattern(r) {
        let mut b = Bundle::new(r, FOREVER);
        b.spec["annotations"] = json!({ "myKey": "myValue" });
        b.create_and_start();
        let state = b.state();
        assert!(state["ociVersion"].is_string() && state["id"].is_string(), "{state}");
        assert!(state["status"].is_string() && state["pid"].is_i64() && state["bundle"].is_string(), "{state}");
        assert_eq!(state["annotations"]["myKey"], "myValue");
    }
}
