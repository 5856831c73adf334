use serde_json::json;

use crate::bundle::Bundle;

#[test]
fn masked_files_are_empty_and_directories_too() {
    let mut b = Bundle::new(
        "cat /proc/timer_list /secret | wc -c; ls /proc/acpi /dir | grep -v : | wc -w; stat -c %t:%T /secret",
    );
    std::fs::write(b.rootfs().join("secret"), "x").unwrap();
    std::fs::create_dir(b.rootfs().join("dir")).unwrap();
    std::fs::write(b.rootfs().join("dir/f"), "x").unwrap();
    let list = b.spec["linux"]["maskedPaths"].as_array_mut().unwrap();
    list.extend([json!("/secret"), json!("/dir"), json!("/not/there")]);
    assert_eq!(b.output(), "0\n0\n1:3\n");
}

#[test]
fn read_only_paths_and_root() {
    let mut b = Bundle::new(
        "for f in /proc/sys/kernel/hostname /dir/f /f; do { echo x > $f; } 2>/dev/null && echo wrote $f; done; true",
    );
    std::fs::create_dir(b.rootfs().join("dir")).unwrap();
    b.spec["linux"]["readonlyPaths"].as_array_mut().unwrap().push(json!("/dir"));
    assert_eq!(b.output(), "wrote /f\n");
    let mut b = Bundle::new("{ echo x > /f; } 2>/dev/null || echo denied; touch /dev/ok");
    b.spec["root"]["readonly"] = true.into();
    assert_eq!(b.output(), "denied\n");
}

#[test]
fn sysctls_of_the_namespaces() {
    let mut b = Bundle::new("cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shm_rmid_forced");
    b.spec["linux"]["sysctl"] = json!({ "net.ipv4.ip_forward": "1", "kernel.shm_rmid_forced": "1" });
    assert_eq!(b.output(), "1\n1\n");
    let mut b = Bundle::new("true");
    b.spec["linux"]["sysctl"] = json!({ "net.no.such": "1" });
    b.fails_with("sysctl: net.no.such");
    let mut b = Bundle::new("true");
    b.spec["linux"]["sysctl"] = json!({ "net/../../self/attr/current": "1" });
    b.fails_with("no such parameter");
}

#[test]
fn devices_of_the_specification() {
    let mut b = Bundle::new("stat -c '%F %t:%T %a %u:%g' /dev/fuse /dev/sub/pipe");
    b.spec["linux"]["devices"] = json!([
        { "path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 0o640, "uid": 7, "gid": 8 },
        { "path": "/dev/sub/pipe", "type": "p" },
    ]);
    assert_eq!(b.output(), "character special file a:e5 640 7:8\nfifo 0:0 666 0:0\n");
}
