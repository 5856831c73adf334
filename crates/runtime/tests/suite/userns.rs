use serde_json::json;

use crate::bundle::Bundle;

fn mapped(script: &str) -> Bundle {
    let mut b = Bundle::new(script);
    let map = json!([{ "containerID": 0, "hostID": 100_000, "size": 65_536 }]);
    (b.spec["linux"]["uidMappings"], b.spec["linux"]["gidMappings"]) = (map.clone(), map);
    b.spec["linux"]["namespaces"].as_array_mut().unwrap().push(json!({ "type": "user" }));
    // the root must be reachable and owned inside
    use std::os::unix::fs::{PermissionsExt, chown};
    std::fs::set_permissions(b.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    for sub in ["", "bin", "dev", "etc", "proc", "sys", "tmp"] {
        chown(b.rootfs().join(sub), Some(100_000), Some(100_000)).unwrap();
    }
    b
}

#[test]
fn root_inside_is_nobody_outside() {
    let mut b =
        mapped("id -u; cat /proc/self/uid_map; echo x > /made; cat /dev/null; cat /proc/self/mountinfo");
    let out = b.output();
    assert!(out.starts_with("0\n"), "{out}");
    assert!(out.contains("100000") && out.contains("65536"));
    use std::os::unix::fs::MetadataExt;
    assert_eq!(std::fs::metadata(b.rootfs().join("made")).unwrap().uid(), 100_000);
}

#[test]
fn capabilities_count_only_inside() {
    let mut b = mapped("hostname changed && hostname; echo 1 > /proc/sys/kernel/sysrq && echo wrote");
    let all: Vec<String> = sys::caps::CapSet(!0).names();
    b.spec["process"]["capabilities"] = json!({ "bounding": all, "permitted": all, "effective": all });
    b.spec["linux"]["readonlyPaths"] = json!([]);
    let ran = b.run();
    assert!(ran.out.contains("changed\n") && !ran.out.contains("wrote"), "{ran:?}");
    b.nothing_left();
}

#[test]
fn exec_and_joining() {
    let mut b = mapped("while :; do sleep 1000; done");
    b.start();
    let pid = b.pid();
    let ran = b.call(&["exec", &b.id, "sh", "-c", "id -u; readlink /proc/self/ns/user"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let user = std::fs::read_link(format!("/proc/{pid}/ns/user")).unwrap().display().to_string();
    assert_eq!(ran.out, format!("0\n{user}\n"));

    let mut second = mapped("id -u; readlink /proc/self/ns/user; readlink /proc/self/ns/net");
    let list = second.spec["linux"]["namespaces"].as_array_mut().unwrap();
    list.retain(|n| n["type"] != "user" && n["type"] != "network");
    list.push(json!({ "type": "user", "path": format!("/proc/{pid}/ns/user") }));
    list.push(json!({ "type": "network", "path": format!("/proc/{pid}/ns/net") }));
    let out = second.output();
    let net = std::fs::read_link(format!("/proc/{pid}/ns/net")).unwrap().display().to_string();
    assert_eq!(out, format!("0\n{user}\n{net}\n"));

    // a new user namespace beside a joined network
    let mut third = mapped("readlink /proc/self/ns/net; id -u");
    let list = third.spec["linux"]["namespaces"].as_array_mut().unwrap();
    list.retain(|n| n["type"] != "network");
    list.push(json!({ "type": "network", "path": "/proc/self/ns/net" }));
    third.spec["mounts"].as_array_mut().unwrap().retain(|m| m["type"] != "sysfs" && m["type"] != "cgroup");
    let own = std::fs::read_link("/proc/self/ns/net").unwrap().display().to_string();
    assert_eq!(third.output(), format!("{own}\n0\n"));
    b.end();
}

#[test]
fn mappings_are_needed() {
    let mut b = mapped("true");
    b.spec["linux"]["uidMappings"] = json!([]);
    b.fails_with("id mappings");
}
