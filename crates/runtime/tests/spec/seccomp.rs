//! config-linux.md, "Seccomp".

use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;

use serde_json::{Value, json};

use crate::bundle::{Bundle, FOREVER};
use crate::subject::Subject;

fn with(r: &Subject, script: &str, seccomp: Value) -> Ran {
    let mut b = Bundle::new(r, script);
    b.spec["linux"]["seccomp"] = seccomp;
    b.run()
}

use crate::bundle::Ran;

fn refuses(r: &Subject, seccomp: Value) {
    let mut b = Bundle::new(r, FOREVER);
    b.spec["linux"]["seccomp"] = seccomp;
    b.is_refused();
}

/// What an agent is told of a container whose `mkdir` asks it: the state, the descriptors, and what came after.
fn notified(r: &Subject, metadata: Option<&str>) -> (Value, Vec<OwnedFd>, usize, i32) {
    let mut b = Bundle::new(r, FOREVER);
    let path = b.path().join("agent");
    let listener = UnixListener::bind(&path).unwrap();
    b.spec["annotations"] = json!({ "a.key": "a value" });
    b.spec["linux"]["seccomp"] = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "listenerPath": path,
        "syscalls": [{ "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY" }],
    });
    if let Some(metadata) = metadata {
        b.spec["linux"]["seccomp"]["listenerMetadata"] = metadata.into();
    }
    b.write();
    // some send it when the container is created, and some when it starts; the other one waits for the agent
    let agent = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut text = vec![0; 65536];
        let (length, fds) = sys::fd::recv(&stream, &mut text).unwrap();
        text.truncate(length);
        // up to the end of the stream: whatever is sent once more
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        text.extend(rest);
        (text, fds, listener)
    });
    b.create().ok();
    b.start().ok();
    let (text, fds, listener) = agent.join().unwrap();
    listener.set_nonblocking(true).unwrap();
    let more = std::iter::from_fn(|| listener.accept().ok()).count();
    let state =
        serde_json::from_slice(&text).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&text)));
    let pid = b.pid();
    (state, fds, more, pid)
}

requirements! {
    /// The action of a system call is taken, with its error number.
    seccomp_action_must_be_taken(r) {
        let ran = with(r, "mkdir /x", json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{ "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13 }],
        }));
        assert!(ran.err.contains("Permission denied"), "{ran:?}");
    }

    /// Without an error number it must be `EPERM`.
    seccomp_errno_must_be_eperm_by_default(r) {
        let ran = with(r, "mkdir /x", json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{ "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO" }],
        }));
        assert!(ran.err.contains("Operation not permitted"), "{ran:?}");
    }

    /// Arguments that are compared decide.
    seccomp_arguments_must_be_compared(r) {
        let ran = with(r, "ulimit -n 100; mkdir -m 700 /x && echo one; mkdir -m 701 /y || echo two", json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [
                { "names": ["mkdir"], "action": "SCMP_ACT_ERRNO",
                  "args": [{ "index": 1, "value": 0o701, "op": "SCMP_CMP_EQ" }] },
                { "names": ["chmod"], "action": "SCMP_ACT_ERRNO",
                  "args": [{ "index": 1, "value": 0o701, "op": "SCMP_CMP_EQ" }] },
            ],
        }));
        assert_eq!(ran.out, "one\ntwo\n", "{ran:?}");
    }

    /// An error number with a default action that has none must be an error.
    [departs runc: "leaves the number out"]
    default_errno_without_use_must_be_an_error(r) {
        refuses(r, json!({ "defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 38 }));
    }

    /// An error number with an action that has none must be an error.
    [departs runc: "leaves the number out"]
    errno_without_use_must_be_an_error(r) {
        refuses(r, json!({
            "defaultAction": "SCMP_ACT_ERRNO",
            "syscalls": [{ "names": ["read"], "action": "SCMP_ACT_ALLOW", "errnoRet": 38 }],
        }));
    }

    /// `names` must have an entry.
    [departs runc: "takes a rule without names for none", crun: "takes a rule without names for none"]
    seccomp_names_must_have_an_entry(r) {
        refuses(r, json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{ "names": [], "action": "SCMP_ACT_ERRNO" }] }));
    }

    /// An unknown action must be an error.
    unknown_seccomp_action_must_be_an_error(r) {
        refuses(r, json!({ "defaultAction": "SCMP_ACT_NO_SUCH" }));
    }

    /// An unknown operator must be an error.
    unknown_seccomp_operator_must_be_an_error(r) {
        refuses(r, json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{ "names": ["mkdir"],
            "action": "SCMP_ACT_ERRNO", "args": [{ "index": 0, "value": 1, "op": "SCMP_CMP_NO_SUCH" }] }] }));
    }

    /// The agent must get the state as JSON, and the descriptor, over a stream socket.
    seccomp_agent_must_get_state_and_descriptor(r) {
        let (state, fds, _, _) = notified(r, None);
        assert_eq!(state["fds"], json!(["seccompFd"]), "{state}");
        assert_eq!(fds.len(), 1);
        let link = std::fs::read_link(sys::fd::proc_path(fds[0].as_fd())).unwrap();
        assert_eq!(link.to_str(), Some("anon_inode:seccomp notify"));
    }

    /// The agent must get exactly one state for each connection, which must be closed after it.
    seccomp_agent_must_get_one_state_per_connection(r) {
        // more than one would be no JSON, and an open connection would never end
        let (_, _, more, _) = notified(r, None);
        assert_eq!(more, 0);
    }

    /// The agent's state must have `ociVersion`, `pid` and the container's state.
    [departs crun: "says that it is of version 0.2.0"]
    seccomp_agent_state_must_have_its_properties(r) {
        let (state, _, _, pid) = notified(r, None);
        assert!(state["ociVersion"].as_str().unwrap().starts_with("1."), "{state}");
        assert_eq!(state["pid"], pid, "{state}");
        assert!(state["state"]["id"].is_string() && state["state"]["status"].is_string(), "{state}");
        assert!(state["state"]["bundle"].is_string(), "{state}");
        assert_eq!(state["state"]["annotations"]["a.key"], "a value", "{state}");
    }

    /// The agent's state must have the metadata.
    seccomp_agent_must_get_the_metadata(r) {
        assert_eq!(notified(r, Some("some metadata")).0["metadata"], "some metadata");
    }

    /// A socket that nobody listens at must be an error.
    absent_seccomp_agent_must_be_an_error(r) {
        let mut b = Bundle::new(r, FOREVER);
        b.spec["linux"]["seccomp"] = json!({
            "defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/no/such/socket",
            "syscalls": [{ "names": ["mkdir"], "action": "SCMP_ACT_NOTIFY" }],
        });
        if b.create().code == 0 {
            b.start().refused();
        }
    }

    /// Without an action that asks the agent, `listenerPath` is ignored.
    [departs crun: "connects to it all the same"]
    listener_path_must_be_ignored_without_use(r) {
        let ran = with(r, "echo ran", json!({ "defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/no/such/socket" }));
        assert_eq!(ran.out, "ran\n", "{ran:?}");
    }

    /// `listenerMetadata` must not be set without `listenerPath`.
    [departs runc: "takes it for nothing", crun: "takes it for nothing"]
    metadata_without_listener_must_be_an_error(r) {
        refuses(r, json!({ "defaultAction": "SCMP_ACT_ALLOW", "listenerMetadata": "x" }));
    }
}
