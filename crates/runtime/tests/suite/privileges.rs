use serde_json::json;

use crate::bundle::Bundle;

fn field(out: &str, name: &str) -> String {
    let line =
        out.lines().find_map(|l| l.strip_prefix(name)).unwrap_or_else(|| panic!("{name} not in {out}"));
    line.trim_start_matches(':').trim().to_owned()
}

#[test]
fn exactly_the_capabilities_asked_for() {
    let mut b = Bundle::new("cat /proc/self/status");
    b.spec["process"]["user"] = json!({ "uid": 1000, "gid": 1000, "additionalGids": [5, 6] });
    b.spec["process"]["capabilities"] = json!({
        "bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"], "permitted": ["CAP_KILL", "CAP_NET_RAW"],
        "effective": ["CAP_KILL", "CAP_NET_RAW"], "inheritable": ["CAP_NET_RAW"], "ambient": ["CAP_NET_RAW"],
    });
    let out = b.output();
    let expected =
        [("CapBnd", "2021"), ("CapPrm", "2000"), ("CapEff", "2000"), ("CapInh", "2000"), ("CapAmb", "2000")];
    for (name, bits) in expected {
        assert_eq!(field(&out, name), format!("{bits:0>16}"), "{name}");
    }
    assert_eq!(field(&out, "NoNewPrivs"), "1");
    assert_eq!(field(&out, "Groups"), "5 6");
    assert_eq!(field(&out, "Uid"), "1000\t1000\t1000\t1000");
    assert_eq!(field(&out, "Gid"), "1000\t1000\t1000\t1000");
}

#[test]
fn none_without_a_word_about_them() {
    let mut b = Bundle::new("cat /proc/self/status");
    b.spec["process"].as_object_mut().unwrap().remove("capabilities");
    b.spec["process"]["noNewPrivileges"] = false.into();
    let out = b.output();
    for name in ["CapBnd", "CapPrm", "CapEff", "CapInh", "CapAmb"] {
        assert_eq!(field(&out, name), "0".repeat(16), "{name}");
    }
    assert_eq!(field(&out, "NoNewPrivs"), "0");
    assert_eq!(field(&out, "Groups"), "");
}

#[test]
fn limits_umask_home_and_oom_score() {
    let mut b = Bundle::new("ulimit -n; ulimit -Hn; umask; echo $HOME; cat /proc/self/oom_score_adj");
    b.spec["process"]["rlimits"] = json!([{ "type": "RLIMIT_NOFILE", "soft": 100, "hard": 200 }]);
    b.spec["process"]["user"] = json!({ "uid": 1000, "gid": 1000, "umask": 0o27 });
    b.spec["process"]["oomScoreAdj"] = 500.into();
    assert_eq!(b.output(), "100\n200\n0027\n/home/anna\n500\n");
    let mut b = Bundle::new("true");
    let limit = json!({ "type": "RLIMIT_NOFILE", "soft": 1, "hard": 1 });
    b.spec["process"]["rlimits"] = json!([limit, limit]);
    b.fails_with("twice");
}

#[test]
fn a_filter_says_no_with_and_without_no_new_privs() {
    for no_new_privs in [true, false] {
        let mut b = Bundle::new("mkdir /x; cat /proc/self/status");
        b.spec["process"]["noNewPrivileges"] = no_new_privs.into();
        b.spec["linux"]["seccomp"] = json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{ "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13 }],
        });
        let ran = b.run();
        assert!(ran.err.contains("Permission denied"), "{ran:?}");
        assert_eq!(field(&ran.out, "Seccomp"), "2");
        b.nothing_left();
    }
}

#[test]
fn labels_that_can_not_be_enforced_are_refused() {
    if !std::path::Path::new("/sys/module/apparmor/parameters/enabled").exists() {
        let mut b = Bundle::new("true");
        b.spec["process"]["apparmorProfile"] = "some-profile".into();
        b.fails_with("AppArmor is not enabled");
    }
    if !sys::selinux::is_enabled() {
        let mut b = Bundle::new("true");
        b.spec["process"]["selinuxLabel"] = "a:b:c:d".into();
        b.fails_with("SELinux is not enabled");
        let mut b = Bundle::new("true");
        b.spec["linux"]["mountLabel"] = "a:b:c:d".into();
        b.fails_with("mountLabel");
    }
}

#[test]
fn only_the_descriptors_that_were_asked_for() {
    let mut b = Bundle::new("ls /proc/self/fd");
    // ls itself opens the directory
    assert_eq!(b.output().split_whitespace().collect::<Vec<_>>(), ["0", "1", "2", "3"]);
}

#[test]
fn an_exec_runs_on_the_processors_it_is_given() {
    let mut b = Bundle::sleeping();
    b.spec["process"]["execCPUAffinity"] = json!({ "initial": "0", "final": "0" });
    b.start();
    let ran = b.call(&["exec", &b.id, "grep", "Cpus_allowed_list", "/proc/self/status"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(ran.out.split_whitespace().last(), Some("0"));
    b.end();
}
