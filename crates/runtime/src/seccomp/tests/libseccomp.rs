//! Every verdict beside libseccomp's, which has the same meaning and another way of getting there.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use sys::seccomp::SockFilter;

use super::super::abi::Abi;
use super::super::outcome::{Outcome, Rules, Test};
use super::super::*;
use super::interpret::{Call, run, walk};

/// The exporter, built once. Without libseccomp this fails and says so: the test would prove nothing.
fn exporter() -> &'static PathBuf {
    static BUILT: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    &BUILT
        .get_or_init(|| {
            let dir = tempfile::tempdir().unwrap();
            let program = dir.path().join("export");
            let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/seccomp/tests/export.c");
            let built = Command::new("cc").arg("-o").arg(&program).arg(source).arg("-lseccomp").status();
            let built = built.expect("this test needs a C compiler (apt install gcc)");
            assert!(built.success(), "this test needs libseccomp (apt install libseccomp-dev)");
            (dir, program)
        })
        .1
}

/// The policy in the exporter's words, by the same rules that runc follows.
fn words(policy: &LinuxSeccomp) -> String {
    use std::fmt::Write;
    let default = action::value(policy.default_action(), policy.default_errno_ret()).unwrap();
    let mut text = format!("default {default}\n");
    for arch in policy.architectures().iter().flatten() {
        writeln!(text, "arch {}", *arch as u32).unwrap();
    }
    for rule in policy.syscalls().iter().flatten() {
        let action = action::value(rule.action(), rule.errno_ret()).unwrap();
        if action == default {
            continue;
        }
        let args = rule.args().as_deref().unwrap_or_default();
        let arg = |arg: &oci_spec::runtime::LinuxSeccompArg| {
            format!(" {} {} {} {}", arg.index(), arg.op() as u32, arg.value(), arg.value_two().unwrap_or(0))
        };
        let repeated =
            args.iter().any(|one| args.iter().filter(|other| other.index() == one.index()).count() > 1);
        for name in rule.names() {
            if repeated {
                for one in args {
                    writeln!(text, "rule {action} {name} 1{}", arg(one)).unwrap();
                }
            } else {
                let all: String = args.iter().map(arg).collect();
                writeln!(text, "rule {action} {name} {}{all}", args.len()).unwrap();
            }
        }
    }
    text
}

fn export(policy: &LinuxSeccomp) -> Vec<SockFilter> {
    let mut child = Command::new(exporter())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the exporter runs");
    child.stdin.take().unwrap().write_all(words(policy).as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let read = |bytes: &[u8]| SockFilter {
        code: u16::from_ne_bytes([bytes[0], bytes[1]]),
        jt: bytes[2],
        jf: bytes[3],
        k: u32::from_ne_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]),
    };
    output.stdout.chunks_exact(8).map(read).collect()
}

/// The arguments worth trying for a number: around each value that the policy compares with.
fn edges(rules: &Rules, abi: Abi, number: u32) -> Vec<[u64; 6]> {
    let mut all = vec![[0; 6], [u64::MAX; 6]];
    let segments = rules.segments(abi);
    let at = segments.partition_point(|segment| segment.start <= number);
    let Some(Outcome::Check { alternatives, .. }) = at.checked_sub(1).map(|at| &segments[at].outcome) else {
        return all;
    };
    for alternative in alternatives.iter() {
        // What makes the whole alternative hold, and then each condition alone broken.
        let base: Vec<_> = alternative
            .conditions
            .iter()
            .map(|condition| (condition.index, values(condition.test)))
            .collect();
        for pick in 0..9 {
            let mut args = [0; 6];
            base.iter().for_each(|(index, values)| args[usize::from(*index)] = values[0]);
            all.push(args);
            for (index, values) in &base {
                let mut one = args;
                one[usize::from(*index)] = values[pick % values.len()];
                all.push(one);
                let mut both = one;
                for (other, values) in base.iter().filter(|(other, _)| other != index) {
                    both[usize::from(*other)] = values[(pick * 5 + 2) % values.len()];
                    all.push(both);
                }
            }
        }
    }
    // A 32-bit program has nothing in the upper halves.
    if !abi.has_wide_arguments() {
        all.iter_mut().flatten().for_each(|arg| *arg &= 0xffff_ffff);
    }
    all
}

fn values(test: Test) -> Vec<u64> {
    let near = |value: u64| {
        vec![
            value,
            value.wrapping_add(1),
            value.wrapping_sub(1),
            value ^ 1 << 32,
            value ^ 1 << 63,
            !value,
            0,
            u64::MAX,
        ]
    };
    match test {
        Test::Equal { mask, value } => {
            let mut values = near(value);
            values.extend([value | !mask, value ^ (mask & mask.wrapping_neg()), value ^ mask]);
            values
        }
        Test::Greater(value) | Test::AtLeast(value) => near(value),
    }
}

/// The policy without the calls that Debian 12's libseccomp doesn't know by name.
fn known(policy: &LinuxSeccomp) -> LinuxSeccomp {
    let mut policy = policy.clone();
    let mut rules = policy.syscalls().clone().unwrap_or_default();
    for rule in &mut rules {
        let names = rule.names().iter().filter(|name| !newer_than_debian(name)).cloned().collect();
        rule.set_names(names);
    }
    rules.retain(|rule| !rule.names().is_empty());
    policy.set_syscalls(Some(rules));
    policy
}

/// Compares all verdicts, and gives the greatest and the mean number of steps of ours.
fn compare(policy: &LinuxSeccomp) -> (usize, usize) {
    let policy = &known(policy);
    let ours = compile_for(policy, Machine::X86_64).unwrap().program;
    let theirs = export(policy);
    let rules = Rules::read(policy).unwrap();
    let let_in = Machine::X86_64.abis(policy.architectures().as_deref().unwrap_or_default());
    let (mut deepest, mut asked) = (0, 0);
    for abi in [Abi::X86_64, Abi::X86, Abi::X32, Abi::Aarch64, Abi::Arm] {
        let first = if abi == Abi::X32 { Abi::X32_BIT } else { 0 };
        let newest = rules.segments(abi).last().map_or(0, |segment| segment.start);
        for number in first..first + 600 {
            for args in edges(&rules, abi, number) {
                let call = Call::new(abi.audit(), number, &args);
                let (our, steps) = walk(&ours, &call);
                let newer = let_in.contains(&abi)
                    && number >= newest
                    && !action::is_permissive(policy.default_action())
                    && our == action::NO_SUCH_CALL;
                // libseccomp leaves calls that are newer than the policy at the default.
                let want = run(&theirs, &call);
                let want = if newer && want == rules.default { action::NO_SUCH_CALL } else { want };
                assert_eq!(our, want, "{abi:?} {number} {args:x?}\n{}", words(policy));
                deepest = deepest.max(steps);
                asked += 1;
            }
        }
    }
    println!("{} instructions against {}, at most {deepest} steps, {asked} calls", ours.len(), theirs.len());
    (ours.len(), deepest)
}

#[test]
fn a_policy_like_dockers() {
    let (size, deepest) = compare(&super::policy(include_str!("docker-like.json")));
    assert!(size <= 400, "{size} instructions");
    assert!(deepest <= 24, "{deepest} steps");
}

#[test]
fn a_policy_that_only_denies() {
    compare(&super::policy(
        r#"{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86_64","SCMP_ARCH_X86"],"syscalls":[
            {"names":["mount","umount2","kexec_load"],"action":"SCMP_ACT_ERRNO","errnoRet":13},
            {"names":["ptrace"],"action":"SCMP_ACT_KILL_PROCESS"},
            {"names":["ioctl"],"action":"SCMP_ACT_TRAP","args":[{"index":1,"value":21522,"op":"SCMP_CMP_EQ"}]},
            {"names":["lseek"],"action":"SCMP_ACT_LOG","args":[
                {"index":1,"value":6,"op":"SCMP_CMP_GE"},{"index":2,"value":4294967297,"op":"SCMP_CMP_LT"}]}]}"#,
    ));
}

/// Policies of random rules: for each call one set of conditions, or several values of one argument. Several sets
/// that overlap are left out, for libseccomp doesn't try the second set when the first fails half-way.
#[test]
fn random_policies() {
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move |below: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };
    // Those with an older door on 32-bit x86 are left out: there we are stricter on purpose.
    let names: Vec<_> =
        syscalls::all().map(|(name, _)| name).filter(|name| mux::door(name).is_none()).collect();
    for _ in 0..3 {
        let mut rules = Vec::new();
        for name in &names {
            let action = ["ALLOW", "ERRNO", "TRAP", "KILL_PROCESS"][next(4) as usize];
            for args in random_sets(&mut next) {
                rules.push(format!(r#"{{"names":["{name}"],"action":"SCMP_ACT_{action}","args":[{args}]}}"#));
            }
        }
        let json = format!(
            r#"{{"defaultAction":"SCMP_ACT_{}","architectures":["SCMP_ARCH_X86_64","SCMP_ARCH_X86","SCMP_ARCH_X32"],
                "syscalls":[{}]}}"#,
            ["ERRNO", "LOG"][next(2) as usize],
            rules.join(",")
        );
        compare(&super::policy(&json));
    }
}

fn random_sets(next: &mut impl FnMut(u64) -> u64) -> Vec<String> {
    const VALUES: [u64; 8] = [0, 1, 2, 0x8000_0000, 0xffff_ffff, 0x1_0000_0000, 0x1_0000_0001, u64::MAX];
    let operators = ["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"];
    let (kind, index, first) = (next(7), next(6), next(7));
    let mut arg = |index: u64, op: &str| {
        let value = VALUES[next(8) as usize];
        let mask = value | 1 << next(64);
        let (value, two) = if op == "MASKED_EQ" { (mask, value) } else { (value, 0) };
        format!(r#"{{"index":{index},"value":{value},"valueTwo":{two},"op":"SCMP_CMP_{op}"}}"#)
    };
    match kind {
        0 => vec![String::new()],
        1 => (0..2).map(|_| arg(index, "EQ")).collect(),
        2 => (0..5).map(|_| arg(index, "EQ")).collect(),
        4..=6 => vec![],
        _ => vec![
            (0..3)
                .map(|at| arg(at * 2, operators[(first + 2 * at) as usize % 7]))
                .collect::<Vec<_>>()
                .join(","),
        ],
    }
}

fn newer_than_debian(name: &str) -> bool {
    let Some(row) = syscalls::find(name) else { return false };
    let number = row.number(Abi::Aarch64).or_else(|| row.number(Abi::X86_64)).unwrap_or(0);
    (457..512).contains(&number) || matches!(name, "uretprobe" | "uprobe")
}
