use std::fs;
use std::os::unix::fs::symlink;

use crate::bundle::Bundle;

fn line<'a>(out: &'a str, point: &str) -> &'a str {
    out.lines().find(|l| l.split(' ').nth(4) == Some(point)).unwrap_or_else(|| panic!("{point} not in {out}"))
}

#[test]
fn bind_mounts_of_files_and_directories() {
    let mut b = Bundle::new("cat /a/b/file /dir/x; touch /dir/y || echo denied; cat /proc/self/mountinfo");
    let source = b.path().join("source");
    fs::create_dir_all(&source).unwrap();
    fs::write(source.join("x"), "ex\n").unwrap();
    let (dir, file) = (source.display().to_string(), source.join("x").display().to_string());
    b.mount("/a/b/file", "bind", &file, &["bind", "ro"]).mount(
        "/dir",
        "",
        &dir,
        &["rbind", "rro", "nosuid", "noexec"],
    );
    let out = b.output();
    assert!(out.starts_with("ex\nex\ndenied\n"), "{out}");
    assert!(line(&out, "/a/b/file").contains(" ro,"));
    assert!(line(&out, "/dir").contains(" ro,nosuid,noexec,"));
    assert!(!source.join("y").exists());
}

#[test]
fn tmpfs_with_options_and_content() {
    let mut b = Bundle::new("ls /data; cat /data/deep/f; stat -c %a /data /plain; cat /proc/self/mountinfo");
    fs::create_dir_all(b.rootfs().join("data/deep")).unwrap();
    fs::write(b.rootfs().join("data/deep/f"), "content\n").unwrap();
    b.mount("/data", "tmpfs", "tmpfs", &["size=1m", "tmpcopyup", "mode=750"]).mount(
        "/plain",
        "tmpfs",
        "tmpfs",
        &["nodev"],
    );
    let out = b.output();
    assert!(out.starts_with("deep\ncontent\n750\n1777\n"), "{out}");
    assert!(line(&out, "/data").contains("size=1024k"));
    assert!(!b.rootfs().join("data/new").exists());
}

#[test]
fn the_usual_ones_are_there() {
    let out = Bundle::new("cat /proc/self/mountinfo; ls -l /dev").output();
    for (point, what) in [
        ("/proc", " - proc "),
        ("/dev", " - tmpfs "),
        ("/dev/pts", " - devpts "),
        ("/dev/shm", " - tmpfs shm "),
        ("/dev/mqueue", " - mqueue "),
        ("/sys", " - sysfs "),
    ] {
        assert!(line(&out, point).contains(what), "{point}: {out}");
    }
    assert!(line(&out, "/sys").contains(" ro,nosuid,nodev,noexec"));
    for name in
        ["null", "zero", "full", "random", "urandom", "tty", "fd -> /proc/self/fd", "ptmx -> pts/ptmx"]
    {
        assert!(out.contains(&format!(" {name}\n")), "{name}");
    }
    // the root alone hears of what is mounted where the host has it, if that tells others (systemd makes it so)
    let heard = out.lines().find(|line| line.contains("master:") && line.split(' ').nth(4) != Some("/"));
    assert!(heard.is_none() && !out.contains("shared:"), "{out}");
}

#[test]
fn cgroups_are_the_container_s_own() {
    for namespaced in [true, false] {
        // in version 2, the group of one that has no namespace of its own lies where the host has it
        let mut b = Bundle::new(
            "cd /sys/fs/cgroup; if [ -e memory ]; then cat memory/memory.limit_in_bytes pids/tasks; \
             else cat memory.max cgroup.procs; fi; cat /proc/self/cgroup",
        );
        b.spec["linux"]["resources"]["memory"] = serde_json::json!({ "limit": 33_554_432 });
        if !namespaced {
            b.spec["linux"]["namespaces"].as_array_mut().unwrap().retain(|n| n["type"] != "cgroup");
        }
        let out = b.output();
        assert!(out.starts_with("33554432\n1\n"), "{out}");
        assert_eq!(out.contains(":pids:/\n") || out.contains("\n0::/\n"), namespaced, "{out}");
    }
}

#[test]
fn propagation_is_what_was_asked_for() {
    let mut b = Bundle::new("cat /proc/self/mountinfo");
    let source = b.path().join("s").display().to_string();
    fs::create_dir(&source).unwrap();
    for (point, word) in [("/p", "rprivate"), ("/s", "rshared"), ("/u", "unbindable")] {
        b.mount(point, "bind", &source, &["rbind", word]);
    }
    let out = b.output();
    assert!(line(&out, "/s").contains("shared:"));
    assert!(!line(&out, "/p").contains("shared:"));
    assert!(line(&out, "/u").contains("unbindable"));
}

#[test]
fn idmapped_mounts_show_other_owners() {
    let mut b = Bundle::new("stat -c %u:%g /m");
    let source = b.path().join("s").display().to_string();
    fs::create_dir(&source).unwrap();
    b.mount("/m", "bind", &source, &["bind", "idmap"]);
    let map = serde_json::json!([{ "containerID": 0, "hostID": 5000, "size": 10 }]);
    let last = b.spec["mounts"].as_array_mut().unwrap().last_mut().unwrap();
    (last["uidMappings"], last["gidMappings"]) = (map.clone(), map);
    assert_eq!(b.output(), "5000:5000\n");
}

#[test]
fn links_in_a_target_stay_inside() {
    let mut b = Bundle::new("ls /run /else");
    symlink("/run", b.rootfs().join("var-run")).unwrap();
    symlink("../../../../../else", b.rootfs().join("up")).unwrap();
    let source = b.path().join("s");
    fs::create_dir(&source).unwrap();
    fs::write(source.join("here"), "").unwrap();
    let source = source.display().to_string();
    b.mount("/var-run/x", "bind", &source, &["bind"]).mount("/up/y", "bind", &source, &["bind"]);
    let out = b.output();
    assert!(out.contains("x\n") && out.contains("y\n"), "{out}");
    assert!(!std::path::Path::new("/else").exists());
}

#[test]
fn a_table_that_makes_no_sense() {
    let mut b = Bundle::new("true");
    b.mount("/x", "bind", "/nonexistent", &["bind"]).fails_with("/nonexistent: No such file or directory");
    let mut b = Bundle::new("true");
    b.mount("/x", "nosuchfs", "x", &[]).fails_with("nosuchfs");
    let mut b = Bundle::new("true");
    b.mount("/x", "tmpfs", "x", &["bogus=1"]).fails_with("bogus");
    let mut b = Bundle::new("true");
    b.mount("/", "tmpfs", "x", &[]).fails_with("can't be mounted over");
}
