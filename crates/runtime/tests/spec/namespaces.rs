//! config-linux.md, "Namespaces", user namespace mappings, time offsets.

use std::fs;

use serde_json::json;

use crate::bundle::{Bundle, FOREVER};
use crate::subject::Subject;

const LINKS: [(&str, &str); 8] = [
    ("pid", "pid"),
    ("network", "net"),
    ("mount", "mnt"),
    ("ipc", "ipc"),
    ("uts", "uts"),
    ("user", "user"),
    ("cgroup", "cgroup"),
    ("time", "time"),
];

fn link(pid: &str, kind: &str) -> String {
    let name = LINKS.iter().find(|(typ, _)| *typ == kind).unwrap().1;
    fs::read_link(format!("/proc/{pid}/ns/{name}")).unwrap().display().to_string()
}

fn with_user_namespace(b: &mut Bundle<'_>) {
    let map = json!([{ "containerID": 0, "hostID": 100_000, "size": 65_536 }]);
    (b.spec["linux"]["uidMappings"], b.spec["linux"]["gidMappings"]) = (map.clone(), map);
    b.namespaces().push(json!({ "type": "user" }));
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(b.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for sub in ["", "bin", "dev", "etc", "proc", "sys", "tmp"] {
        std::os::unix::fs::chown(b.rootfs().join(sub), Some(100_000), Some(100_000)).unwrap();
    }
}

/// Without a path a new namespace is made.
fn is_made(r: &Subject, kind: &str) {
    let mut b = Bundle::new(r, FOREVER);
    match kind {
        "user" => with_user_namespace(&mut b),
        _ if b.namespaces().iter().any(|n| n["type"] == kind) => {}
        _ => b.namespaces().push(json!({ "type": kind })),
    }
    b.create().ok();
    assert_ne!(link(&b.pid().to_string(), kind), link("thread-self", kind));
}

/// With a path it is joined.
fn is_joined(r: &Subject, kind: &str) {
    let mut owner = Bundle::new(r, FOREVER);
    if kind == "cgroup" {
        owner.namespaces().push(json!({ "type": kind }));
    }
    owner.create_and_start();
    let pid = owner.pid().to_string();
    let name = LINKS.iter().find(|(typ, _)| *typ == kind).unwrap().1;
    let mut b = Bundle::new(r, FOREVER);
    b.namespaces().retain(|n| n["type"] != kind);
    b.namespaces().push(json!({ "type": kind, "path": format!("/proc/{pid}/ns/{name}") }));
    b.create().ok();
    assert_eq!(link(&b.pid().to_string(), kind), link(&pid, kind));
    b.end();
    owner.end();
}

/// One that is not listed is the runtime's.
fn is_inherited(r: &Subject, kind: &str) {
    let mut b = Bundle::new(r, FOREVER);
    b.namespaces().retain(|n| n["type"] != kind);
    b.create().ok();
    assert_eq!(link(&b.pid().to_string(), kind), link("thread-self", kind));
}

requirements! {
    /// A namespace's `path` must be absolute.
    [departs crun: "takes it from where it stands"]
    namespace_path_must_be_absolute(r) {
        let mut b = Bundle::new(r, FOREVER);
        fs::write(b.path().join("net"), "").unwrap();
        let made = std::process::Command::new("mount")
            .args(["--bind", "/proc/self/ns/net"]).arg(b.path().join("net")).status().unwrap();
        assert!(made.success());
        b.namespaces().retain(|n| n["type"] != "network");
        b.namespaces().push(json!({ "type": "network", "path": "net" }));
        let created = b.create();
        sys::mount::detach(b.path().join("net")).unwrap();
        created.refused();
    }

    /// The process must be in the network namespace at `path`.
    network_namespace_must_be_joined(r) { is_joined(r, "network"); }
    /// The process must be in the IPC namespace at `path`.
    ipc_namespace_must_be_joined(r) { is_joined(r, "ipc"); }
    /// The process must be in the UTS namespace at `path`.
    uts_namespace_must_be_joined(r) { is_joined(r, "uts"); }
    /// The process must be in the PID namespace at `path`.
    pid_namespace_must_be_joined(r) { is_joined(r, "pid"); }
    /// The process must be in the cgroup namespace at `path`.
    cgroup_namespace_must_be_joined(r) { is_joined(r, "cgroup"); }

    /// A `path` of another type's namespace must be an error.
    namespace_of_another_type_must_be_an_error(r) {
        let mut b = Bundle::new(r, FOREVER);
        b.namespaces().retain(|n| n["type"] != "network");
        b.namespaces().push(json!({ "type": "network", "path": "/proc/self/ns/uts" }));
        b.is_refused();
    }

    /// A `path` that is no namespace must be an error.
    path_without_namespace_must_be_an_error(r) {
        let mut b = Bundle::new(r, FOREVER);
        b.namespaces().retain(|n| n["type"] != "network");
        b.namespaces().push(json!({ "type": "network", "path": "/etc/hostname" }));
        b.is_refused();
    }

    /// Without `path` a new PID namespace must be made.
    pid_namespace_must_be_made(r) { is_made(r, "pid"); }
    /// Without `path` a new network namespace must be made.
    network_namespace_must_be_made(r) { is_made(r, "network"); }
    /// Without `path` a new mount namespace must be made.
    mount_namespace_must_be_made(r) { is_made(r, "mount"); }
    /// Without `path` a new IPC namespace must be made.
    ipc_namespace_must_be_made(r) { is_made(r, "ipc"); }
    /// Without `path` a new UTS namespace must be made.
    uts_namespace_must_be_made(r) { is_made(r, "uts"); }
    /// Without `path` a new user namespace must be made.
    user_namespace_must_be_made(r) { is_made(r, "user"); }
    /// Without `path` a new cgroup namespace must be made.
    cgroup_namespace_must_be_made(r) { is_made(r, "cgroup"); }
    /// Without `path` a new time namespace must be made.
    [departs runc: "1.1 does not know it", crun: "1.8 dies of it"]
    time_namespace_must_be_made(r) { is_made(r, "time"); }

    /// A PID namespace that is not listed must be the runtime's.
    pid_namespace_must_be_inherited(r) { is_inherited(r, "pid"); }
    /// A network namespace that is not listed must be the runtime's.
    network_namespace_must_be_inherited(r) { is_inherited(r, "network"); }
    /// An IPC namespace that is not listed must be the runtime's.
    ipc_namespace_must_be_inherited(r) { is_inherited(r, "ipc"); }
    /// A UTS namespace that is not listed must be the runtime's.
    uts_namespace_must_be_inherited(r) { is_inherited(r, "uts"); }
    /// A user namespace that is not listed must be the runtime's.
    user_namespace_must_be_inherited(r) { is_inherited(r, "user"); }
    /// A cgroup namespace that is not listed must be the runtime's.
    cgroup_namespace_must_be_inherited(r) { is_inherited(r, "cgroup"); }
    /// A time namespace that is not listed must be the runtime's.
    time_namespace_must_be_inherited(r) { is_inherited(r, "time"); }

    /// A namespace that is listed twice must be an error.
    [departs crun: "takes the second"]
    duplicate_namespace_must_be_an_error(r) {
        let mut b = Bundle::new(r, FOREVER);
        b.namespaces().push(json!({ "type": "uts" }));
        b.is_refused();
    }

    /// Mappings are those of the user namespace.
    mappings_must_be_those_of_the_user_namespace(r) {
        let mut b = Bundle::new(r, FOREVER);
        with_user_namespace(&mut b);
        b.create().ok();
        for file in ["uid_map", "gid_map"] {
            let map = fs::read_to_string(format!("/proc/{}/{file}", b.pid())).unwrap();
            assert_eq!(map.split_whitespace().collect::<Vec<_>>(), ["0", "100000", "65536"]);
        }
    }

    /// Time offsets are those of the time namespace.
    [departs runc: "1.1 does not know them", crun: "1.8 dies of them"]
    time_offsets_must_be_set(r) {
        let mut b = Bundle::new(r, FOREVER);
        b.namespaces().push(json!({ "type": "time" }));
        b.spec["linux"]["timeOffsets"] = json!({ "boottime": { "secs": 1234, "nanosecs": 5 } });
        b.create().ok();
        let text = fs::read_to_string(format!("/proc/{}/timens_offsets", b.pid())).unwrap();
        assert!(text.split_whitespace().collect::<Vec<_>>().join(" ").contains("boottime 1234 5"), "{text}");
    }
}
