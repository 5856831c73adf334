//! What filters answer, asked in an interpreter, compared with libseccomp, and in force.

mod force;
mod interpret;
mod libseccomp;

use super::*;
use interpret::{Call, run};

pub(super) const ALLOW: u32 = 0x7fff_0000;
pub(super) const EPERM: u32 = 0x0005_0001;
pub(super) const ENOSYS: u32 = 0x0005_0026;

pub(super) fn policy(json: &str) -> LinuxSeccomp {
    serde_json::from_str(json).unwrap()
}

fn x86_64(number: u32, args: &[u64]) -> Call {
    Call::new(0xc000_003e, number, args)
}

fn ask(compiled: &Compiled, call: Call) -> u32 {
    run(&compiled.program, &call)
}

#[test]
fn names_and_the_default() {
    let policy = policy(
        r#"{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[
            {"names":["read","write","no_such_call"],"action":"SCMP_ACT_ALLOW"},
            {"names":["reboot"],"action":"SCMP_ACT_KILL_PROCESS"},
            {"names":["clone3"],"action":"SCMP_ACT_ERRNO","errnoRet":38}]}"#,
    );
    let filter = compile_for(&policy, Machine::X86_64).unwrap();
    assert_eq!(ask(&filter, x86_64(0, &[])), ALLOW);
    assert_eq!(ask(&filter, x86_64(1, &[])), ALLOW);
    assert_eq!(ask(&filter, x86_64(2, &[])), EPERM);
    assert_eq!(ask(&filter, x86_64(169, &[])), 0x8000_0000);
    assert_eq!(ask(&filter, x86_64(435, &[])), ENOSYS);
    assert_eq!(ask(&filter, x86_64(436, &[])), ENOSYS, "newer than the policy");
    assert_eq!(ask(&filter, x86_64(0x4000_0000, &[])), 0, "x32 was not let in");
    assert_eq!(ask(&filter, Call::new(0x4000_0003, 3, &[])), 0, "nor was x86");
    assert_eq!(filter.flags, FLAG_SPEC_ALLOW);
    assert_eq!(filter.listener, None);
}

#[test]
fn a_permissive_default_stays_so_for_new_calls() {
    let policy = policy(
        r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["reboot"],"action":"SCMP_ACT_ERRNO","errnoRet":0}]}"#,
    );
    let filter = compile_for(&policy, Machine::Aarch64).unwrap();
    let call = |number| Call::new(0xc000_00b7, number, &[]);
    assert_eq!(ask(&filter, call(142)), 0x0005_0000);
    assert_eq!(ask(&filter, call(9999)), ALLOW);
    assert_eq!(ask(&filter, x86_64(0, &[])), 0);
}

#[test]
fn every_action() {
    for (name, value) in [
        ("KILL", 0),
        ("KILL_THREAD", 0),
        ("KILL_PROCESS", 0x8000_0000),
        ("TRAP", 0x0003_0000),
        ("ERRNO", 0x0005_0001),
        ("TRACE", 0x7ff0_0001),
        ("LOG", 0x7ffc_0000),
        ("NOTIFY", 0x7fc0_0000),
    ] {
        let json = format!(
            r#"{{"defaultAction":"SCMP_ACT_ALLOW","listenerPath":"/s","listenerMetadata":"m",
                "syscalls":[{{"names":["mount"],"action":"SCMP_ACT_{name}"}}]}}"#
        );
        let filter = compile_for(&policy(&json), Machine::X86_64).unwrap();
        assert_eq!(ask(&filter, x86_64(165, &[])), value, "{name}");
        assert_eq!(filter.listener.is_some(), name == "NOTIFY");
        assert_eq!(filter.flags & FLAG_NEW_LISTENER != 0, name == "NOTIFY");
    }
}

#[test]
fn every_operator_at_its_edges() {
    let value = 0x0000_0001_8000_0000_u64;
    let near = [0, 1, value - 1, value, value + 1, 0x8000_0000, 0x2_0000_0000, 0x1_7fff_ffff, u64::MAX];
    type Test = fn(u64, u64) -> bool;
    let operators: [(&str, Test); 6] = [
        ("NE", |a, b| a != b),
        ("LT", |a, b| a < b),
        ("LE", |a, b| a <= b),
        ("EQ", |a, b| a == b),
        ("GE", |a, b| a >= b),
        ("GT", |a, b| a > b),
    ];
    for (name, holds) in operators {
        let json = format!(
            r#"{{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{{"names":["ioctl"],"action":"SCMP_ACT_ALLOW",
                "args":[{{"index":2,"value":{value},"op":"SCMP_CMP_{name}"}}]}}]}}"#
        );
        let filter = compile_for(&policy(&json), Machine::X86_64).unwrap();
        for arg in near {
            let want = if holds(arg, value) { ALLOW } else { EPERM };
            assert_eq!(ask(&filter, x86_64(16, &[7, 7, arg])), want, "{arg:#x} {name} {value:#x}");
        }
    }
}

#[test]
fn masks() {
    let policy = policy(
        r#"{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["clone"],"action":"SCMP_ACT_ALLOW",
            "args":[{"index":0,"value":2114060288,"valueTwo":0,"op":"SCMP_CMP_MASKED_EQ"}]}]}"#,
    );
    let filter = compile_for(&policy, Machine::X86_64).unwrap();
    assert_eq!(ask(&filter, x86_64(56, &[0x11])), ALLOW);
    assert_eq!(ask(&filter, x86_64(56, &[0x1000_0011])), EPERM);
    assert_eq!(ask(&filter, x86_64(56, &[0xffff_ffff_0000_0000])), ALLOW);
}

#[test]
fn conditions_on_one_argument_twice_are_alternatives() {
    let policy = policy(
        r#"{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["personality"],"action":"SCMP_ACT_ALLOW","args":[
            {"index":0,"value":0,"op":"SCMP_CMP_EQ"},{"index":0,"value":8,"op":"SCMP_CMP_EQ"}]},
            {"names":["socket"],"action":"SCMP_ACT_ALLOW","args":[
            {"index":0,"value":1,"op":"SCMP_CMP_EQ"},{"index":1,"value":2,"op":"SCMP_CMP_EQ"}]}]}"#,
    );
    let filter = compile_for(&policy, Machine::X86_64).unwrap();
    assert_eq!(ask(&filter, x86_64(135, &[0])), ALLOW);
    assert_eq!(ask(&filter, x86_64(135, &[8])), ALLOW);
    assert_eq!(ask(&filter, x86_64(135, &[4])), EPERM);
    assert_eq!(ask(&filter, x86_64(41, &[1, 2])), ALLOW);
    assert_eq!(ask(&filter, x86_64(41, &[1, 1])), EPERM);
}

#[test]
fn the_older_doors_of_32_bit_x86() {
    let policy = policy(
        r#"{"defaultAction":"SCMP_ACT_ERRNO","architectures":["SCMP_ARCH_X86_64","SCMP_ARCH_X86","SCMP_ARCH_X32"],
            "syscalls":[{"names":["accept","shmat"],"action":"SCMP_ACT_ALLOW"},
            {"names":["socket"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":1,"op":"SCMP_CMP_EQ"}]}]}"#,
    );
    let filter = compile_for(&policy, Machine::X86_64).unwrap();
    let x86 = |number, args: &[u64]| ask(&filter, Call::new(0x4000_0003, number, args));
    assert_eq!(x86(102, &[5]), ALLOW, "socketcall(SYS_ACCEPT)");
    assert_eq!(x86(102, &[4]), EPERM, "socketcall(SYS_LISTEN)");
    assert_eq!(x86(102, &[1]), EPERM, "socketcall(SYS_SOCKET) hides the family that the rule is about");
    assert_eq!(x86(117, &[21]), ALLOW, "ipc(SHMAT)");
    assert_eq!(x86(117, &[24]), EPERM, "ipc(SHMCTL)");
    assert_eq!(x86(359, &[1]), ALLOW);
    assert_eq!(x86(359, &[2]), EPERM);
    assert_eq!(ask(&filter, x86_64(0x4000_0000 | 43, &[])), ALLOW, "x32");
    assert_eq!(ask(&filter, x86_64(0x4000_0000 | 50, &[])), ENOSYS, "x32");
}

#[test]
fn notification_has_its_conditions() {
    let notify = |default: &str, name: &str, path: &str| {
        let json = format!(
            r#"{{"defaultAction":"{default}",{path} "syscalls":[{{"names":["{name}"],"action":"SCMP_ACT_NOTIFY"}}]}}"#
        );
        compile_for(&policy(&json), Machine::X86_64)
    };
    let path = r#""listenerPath":"/run/agent.sock","#;
    assert!(notify("SCMP_ACT_ALLOW", "mknod", path).is_ok());
    assert!(matches!(notify("SCMP_ACT_ALLOW", "mknod", ""), Err(Error::Notify(_))));
    assert!(matches!(notify("SCMP_ACT_ALLOW", "sendmsg", path), Err(Error::Notify(_))));
    assert!(matches!(notify("SCMP_ACT_NOTIFY", "mknod", path), Err(Error::Notify(_))));
}

#[test]
fn flags_and_bad_numbers() {
    let flags = |names: &str| {
        let json = format!(r#"{{"defaultAction":"SCMP_ACT_ALLOW","flags":[{names}]}}"#);
        compile_for(&policy(&json), Machine::X86_64).map(|filter| filter.flags)
    };
    assert_eq!(flags(""), Ok(0));
    let all = r#""SECCOMP_FILTER_FLAG_LOG","SECCOMP_FILTER_FLAG_TSYNC","SECCOMP_FILTER_FLAG_SPEC_ALLOW""#;
    assert_eq!(flags(all), Ok(FLAG_LOG | FLAG_TSYNC | FLAG_SPEC_ALLOW));
    assert!(matches!(flags(r#""SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV""#), Err(Error::Flag(_))));

    let errno = policy(r#"{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":4096}"#);
    assert_eq!(compile_for(&errno, Machine::X86_64), Err(Error::Errno(4096)));
    let errno = policy(r#"{"defaultAction":"SCMP_ACT_ALLOW","defaultErrnoRet":1}"#);
    assert!(matches!(compile_for(&errno, Machine::X86_64), Err(Error::ErrnoWithout { .. })));
    let index = policy(
        r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["x"],"action":"SCMP_ACT_TRAP",
            "args":[{"index":6,"value":0,"op":"SCMP_CMP_EQ"}]}]}"#,
    );
    assert!(matches!(compile_for(&index, Machine::X86_64), Err(Error::Argument { index: 6, .. })));
}

/// A policy with a check at every number makes a tree wider than a conditional jump reaches.
#[test]
fn far_jumps() {
    let rules: Vec<_> = syscalls::all()
        .enumerate()
        .map(|(at, (name, _))| {
            let value = u64::MAX / 3 + at as u64;
            format!(
                r#"{{"names":["{name}"],"action":"SCMP_ACT_TRACE","errnoRet":{},
                    "args":[{{"index":{},"value":{value},"op":"SCMP_CMP_GT"}}]}}"#,
                at + 1,
                at % 6
            )
        })
        .collect();
    let json = format!(r#"{{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{}]}}"#, rules.join(","));
    let filter = compile_for(&policy(&json), Machine::X86_64).unwrap();
    assert!(filter.program.len() > 1500);
    for (at, (name, row)) in syscalls::all().enumerate() {
        for abi in [abi::Abi::X86_64] {
            let Some(number) = row.number(abi) else { continue };
            let own = syscalls::all()
                .enumerate()
                .find(|(_, (_, other))| other.number(abi) == Some(number))
                .unwrap()
                .0;
            let mut args = [0; 6];
            assert_eq!(ask(&filter, x86_64(number, &args)), EPERM, "{name}");
            args[at % 6] = u64::MAX;
            if own == at {
                assert_eq!(ask(&filter, x86_64(number, &args)), 0x7ff0_0001 + at as u32, "{name}");
            }
        }
    }
}
