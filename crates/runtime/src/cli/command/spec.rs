//! `spec`: a configuration to start from.

use std::io::Write;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::launch::{self, BUNDLE};
use super::{Command, Outcome};
use crate::cli::args::{Parsed, switch};
use crate::cli::global::Global;

pub(super) const COMMAND: Command = Command {
    name: "spec",
    usage: "",
    help: "write a new config.json",
    flags: &[BUNDLE, switch("rootless", "", "for an ordinary user")],
    interspersed: true,
    run,
};

fn run(_: &Global, parsed: &Parsed) -> Outcome {
    let path = launch::bundle(parsed)?.join("config.json");
    let mut spec = example();
    if parsed.has("rootless") {
        make_rootless(&mut spec);
    }
    let file = std::fs::OpenOptions::new().write(true).create_new(true).open(&path);
    let mut file = file.with_context(|| format!("file {}", path.display()))?;
    let text = serde_json::to_string_pretty(&spec)? + "\n";
    file.write_all(text.as_bytes()).with_context(|| path.display().to_string())?;
    Ok(0)
}

fn mount(destination: &str, typ: &str, source: &str, options: &[&str]) -> Value {
    json!({ "destination": destination, "type": typ, "source": source, "options": options })
}

fn mounts() -> Value {
    json!([
        { "destination": "/proc", "type": "proc", "source": "proc" },
        mount("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount("/dev/pts", "devpts", "devpts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
        mount("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
        mount("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
        mount("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
        mount("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev", "relatime", "ro"]),
    ])
}

fn example() -> Value {
    let caps = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"];
    json!({
        "ociVersion": super::features::SPEC_VERSION,
        "process": {
            "terminal": true,
            "user": { "uid": 0, "gid": 0 },
            "args": ["sh"],
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
            "cwd": "/",
            "capabilities": { "bounding": caps, "effective": caps, "permitted": caps },
            "rlimits": [{ "type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024 }],
            "noNewPrivileges": true,
        },
        "root": { "path": "rootfs", "readonly": true },
        "hostname": "berth",
        "mounts": mounts(),
        "linux": {
            "resources": { "devices": [{ "allow": false, "access": "rwm" }] },
            "namespaces": [
                { "type": "pid" }, { "type": "network" }, { "type": "ipc" }, { "type": "uts" },
                { "type": "mount" }, { "type": "cgroup" },
            ],
            "maskedPaths": [
                "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
                "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi",
            ],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
        },
    })
}

/// A user namespace with the caller as its root, and nothing that only the host's root may do.
fn make_rootless(spec: &mut Value) {
    let map = |host: u32| json!([{ "containerID": 0, "hostID": host, "size": 1 }]);
    let linux = &mut spec["linux"];
    linux["uidMappings"] = map(rustix::process::geteuid().as_raw());
    linux["gidMappings"] = map(rustix::process::getegid().as_raw());
    if let Some(object) = linux.as_object_mut() {
        object.remove("resources");
    }
    if let Some(list) = linux["namespaces"].as_array_mut() {
        list.retain(|n| n["type"] != "network");
        list.push(json!({ "type": "user" }));
    }
    if let Some(list) = spec["mounts"].as_array_mut() {
        list.retain(|m| m["type"] != "cgroup");
        for mount in list {
            if mount["type"] == "sysfs" {
                *mount = self::mount("/sys", "none", "/sys", &["rbind", "nosuid", "noexec", "nodev", "ro"]);
            } else if let Some(options) = mount["options"].as_array_mut() {
                options.retain(|o| o != "gid=5");
            }
        }
    }
}
