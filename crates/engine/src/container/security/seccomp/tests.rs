use super::*;

fn capabilities(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn names(policy: &LinuxSeccomp) -> BTreeSet<&str> {
    policy.syscalls().iter().flatten().flat_map(LinuxSyscall::names).map(String::as_str).collect()
}

const X86: Machine = Machine::X86_64;

#[test]
fn the_default_compiles_small_for_both_machines() {
    let none = capabilities(&[]);
    for machine in [Machine::X86_64, Machine::Aarch64] {
        let policy = default_profile(&none, machine, (6, 1)).unwrap();
        let filter = runtime::seccomp::compile_for(&policy, machine).unwrap();
        assert!(filter.program.len() <= 400, "{machine:?}: {}", filter.program.len());
        assert!(filter.listener.is_none());
    }
}

#[test]
fn no_call_is_listed_twice() {
    let all: Vec<_> = data::ALWAYS.iter().flat_map(|group| group.split_whitespace()).collect();
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    assert!(all.len() > 350);
    for forbidden in
        ["keyctl", "userfaultfd", "io_uring_setup", "kexec_load", "mount", "unshare", "bpf", "ptrace"]
    {
        assert!(!all.contains(&forbidden), "{forbidden}");
    }
}

#[test]
fn capabilities_open_more() {
    let policy = default_profile(&capabilities(&[]), X86, (6, 1)).unwrap();
    let plain = names(&policy);
    assert!(!plain.contains("mount") && !plain.contains("chroot") && !plain.contains("bpf"));
    assert!(plain.contains("ptrace"), "since Linux 4.8");
    let old = default_profile(&capabilities(&[]), X86, (4, 7)).unwrap();
    assert!(!names(&old).contains("ptrace"));
    let policy = default_profile(&capabilities(&["CAP_SYS_ADMIN", "CAP_SYS_CHROOT"]), X86, (4, 7)).unwrap();
    let admin = names(&policy);
    assert!(
        admin.contains("mount")
            && admin.contains("chroot")
            && admin.contains("clone3")
            && !admin.contains("ptrace")
    );
    let free = policy.syscalls().iter().flatten().filter(|rule| rule.names().contains(&"clone".to_owned()));
    assert!(free.clone().count() == 1 && free.clone().all(|rule| rule.args().is_none()));
}

#[test]
fn dockers_format() {
    let json = r#"{
        "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1,
        "archMap": [
            {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]},
            {"architecture": "SCMP_ARCH_RISCV64", "subArchitectures": null}],
        "syscalls": [
            {"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [], "comment": "c", "includes": {}, "excludes": {}},
            {"name": "write", "action": "SCMP_ACT_ALLOW", "args": null},
            {"names": ["ptrace"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}},
            {"names": ["mount"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
            {"names": ["clone"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_SYS_ADMIN"], "arches": ["s390x"]}},
            {"names": ["modify_ldt"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["amd64", "x32"]}},
            {"names": ["set_tls"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["arm64"]}}]}"#;
    let none = capabilities(&[]);
    let policy = load_profile(json, &none, X86, (4, 19)).unwrap();
    assert_eq!(
        names(&policy).into_iter().collect::<Vec<_>>(),
        ["clone", "modify_ldt", "ptrace", "read", "write"]
    );
    let archs = policy.architectures().clone().unwrap();
    assert_eq!(archs, [Arch::ScmpArchX86_64, Arch::ScmpArchX86, Arch::ScmpArchX32]);
    let policy = load_profile(json, &capabilities(&["CAP_SYS_ADMIN"]), Machine::Aarch64, (4, 4)).unwrap();
    assert_eq!(names(&policy).into_iter().collect::<Vec<_>>(), ["mount", "read", "set_tls", "write"]);
}

#[test]
fn a_bad_profile_is_named() {
    let none = capabilities(&[]);
    for (json, word) in [
        ("", "EOF"),
        ("{}", "defaultAction"),
        (r#"{"defaultAction":"ALLOW"}"#, "ALLOW"),
        (
            r#"{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86"],
                "archMap":[{"architecture":"SCMP_ARCH_X86_64","subArchitectures":[]}]}"#,
            "archMap",
        ),
        (
            r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"name":"a","names":["b"],"action":"SCMP_ACT_TRAP"}]}"#,
            "names",
        ),
        (
            r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["b"],"action":"SCMP_ACT_TRAP",
                "includes":{"minKernel":"new"}}]}"#,
            "minKernel",
        ),
    ] {
        let err = load_profile(json, &none, X86, (6, 1)).unwrap_err().to_string();
        assert!(err.contains(word), "{err}");
    }
}

#[test]
fn the_running_kernel_has_a_version() {
    assert!(running_kernel() >= (4, 0));
}
