use crate::bundle::Bundle;

#[test]
fn joins_everything() {
    let mut b = Bundle::sleeping();
    b.start();
    let pid = b.pid();
    let script = "for n in pid net ipc uts mnt cgroup; do readlink /proc/self/ns/$n; done; cat /proc/self/cgroup; hostname; ls /proc/self/fd";
    let ran = b.call(&["exec", &b.id, "sh", "-c", script]);
    assert_eq!(ran.code, 0, "{ran:?}");
    for (line, kind) in ran.out.lines().zip(["pid", "net", "ipc", "uts", "mnt", "cgroup"]) {
        assert_eq!(line, std::fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap().display().to_string());
    }
    let group = ran.out.contains("memory:/\n") || ran.out.contains("\n0::/\n");
    assert!(group && ran.out.contains("berth\n"), "{}", ran.out);
    assert!(ran.out.ends_with("0\n1\n2\n3\n"), "{}", ran.out);
    b.end();
}

#[test]
fn flags_change_the_process() {
    let mut b = Bundle::sleeping();
    b.start();
    let ran = b.call(&[
        "exec",
        "-u",
        "1000:5",
        "-g",
        "77",
        "--cwd",
        "/tmp",
        "-e",
        "A=b",
        "--cap",
        "CAP_NET_RAW",
        &b.id,
        "sh",
        "-c",
        "id; pwd; echo $A; grep CapBnd /proc/self/status; exit 9",
    ]);
    assert_eq!(ran.code, 9);
    assert!(ran.out.starts_with("uid=1000(anna) gid=5 groups=77"), "{ran:?}");
    assert!(ran.out.contains("/tmp\nb\nCapBnd:\t0000000020002420\n"), "{ran:?}");
    b.end();
}

#[test]
fn a_process_file_and_detaching() {
    let mut b = Bundle::sleeping();
    b.start();
    let process = serde_json::json!({
        "user": { "uid": 0, "gid": 0 }, "args": ["sh", "-c", "echo $X > /result"], "env": ["X=made"], "cwd": "/",
    });
    std::fs::write(b.path().join("process.json"), process.to_string()).unwrap();
    let ran = b.call_detached(&["exec", "-d", "--pid-file", "epid", "--process", "process.json", &b.id]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(b.path().join("epid").exists());
    let result = b.rootfs().join("result");
    crate::bundle::eventually("the result", || std::fs::read_to_string(&result).is_ok_and(|t| t == "made\n"));
    b.end();
}

#[test]
fn what_can_not_be_run() {
    let mut b = Bundle::sleeping();
    b.start();
    std::fs::write(b.rootfs().join("tmp/plain"), "x").unwrap();
    for (program, text) in [
        ("nope", "executable file not found in $PATH"),
        ("/nope", "no such file or directory"),
        ("/tmp/plain", "permission denied"),
        ("/tmp", "is a directory"),
    ] {
        let ran = b.call(&["exec", &b.id, program]);
        assert_eq!(ran.code, 255, "{ran:?}");
        assert!(ran.err.contains(text), "{ran:?}");
    }
    assert!(b.call(&["exec", "--cwd", "/nope", &b.id, "true"]).err.contains("chdir"));
    b.end();
    assert!(b.call(&["exec", &b.id, "true"]).err.contains("does not exist"));
}
