use super::*;
use crate::bpf::interpret::run;
use crate::cgroup::DeviceAccess;

fn rule(allow: bool, kind: DeviceKind, major: Option<u32>, minor: Option<u32>, access: &str) -> DeviceRule {
    DeviceRule { allow, kind, major, minor, access: DeviceAccess::parse(access).unwrap() }
}

fn char_rule(allow: bool, major: u32, minor: u32, access: &str) -> DeviceRule {
    rule(allow, DeviceKind::Char, Some(major), Some(minor), access)
}

fn asks(program: &[Insn], kind: i32, major: u32, minor: u32, access: &str) -> bool {
    let bits = u32::from(DeviceAccess::parse(access).unwrap().0);
    run(program, [bits << 16 | kind.cast_unsigned(), major, minor]) == 1
}

fn everything(allow: bool) -> DeviceRule {
    rule(allow, DeviceKind::All, None, None, "rwm")
}

#[test]
fn an_empty_list_denies() {
    let program = program(&DeviceList::new(&[]));
    assert!(!asks(&program, TYPE_CHAR, 1, 3, "r"));
    assert_eq!(program.len(), 8);
}

#[test]
fn docker_like_rules() {
    let rules = [
        everything(false),
        rule(true, DeviceKind::Char, None, None, "m"),
        char_rule(true, 1, 3, "rwm"),
        rule(true, DeviceKind::Char, Some(136), None, "rwm"),
        rule(true, DeviceKind::Block, Some(8), Some(0), "r"),
    ];
    let program = program(&DeviceList::new(&rules));
    assert!(asks(&program, TYPE_CHAR, 1, 3, "rw"));
    assert!(asks(&program, TYPE_CHAR, 136, 77, "rwm"));
    assert!(asks(&program, TYPE_CHAR, 9, 9, "m"));
    assert!(!asks(&program, TYPE_CHAR, 9, 9, "rm"));
    assert!(asks(&program, TYPE_BLOCK, 8, 0, "r"));
    assert!(!asks(&program, TYPE_BLOCK, 8, 0, "rw"));
    assert!(!asks(&program, TYPE_BLOCK, 8, 1, "r"));
    assert!(!asks(&program, TYPE_BLOCK, 1, 3, "m"));
}

#[test]
fn two_rules_add_up() {
    let program = program(&DeviceList::new(&[char_rule(true, 5, 0, "r"), char_rule(true, 5, 0, "w")]));
    assert!(asks(&program, TYPE_CHAR, 5, 0, "rw"));
    assert!(!asks(&program, TYPE_CHAR, 5, 0, "rwm"));
}

#[test]
fn a_later_denial_takes_away() {
    let rules = [everything(true), char_rule(false, 10, 200, "w")];
    let program = program(&DeviceList::new(&rules));
    assert!(asks(&program, TYPE_CHAR, 10, 200, "r"));
    assert!(!asks(&program, TYPE_CHAR, 10, 200, "rw"));
    assert!(asks(&program, TYPE_BLOCK, 10, 200, "rw"));
}

/// Every access against a plain reading of the rules, for a few hundred lists.
#[test]
fn equals_the_plain_reading() {
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = |below: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };
    for _ in 0..300 {
        let rules: Vec<_> = (0..next(7))
            .map(|_| DeviceRule {
                allow: next(2) == 0,
                kind: [DeviceKind::All, DeviceKind::Block, DeviceKind::Char][next(3) as usize],
                major: [None, Some(1), Some(2)][next(3) as usize],
                minor: [None, Some(0), Some(u32::MAX)][next(3) as usize],
                access: DeviceAccess(next(8) as u8),
            })
            .collect();
        let program = program(&DeviceList::new(&rules));
        for (kind, name) in [(TYPE_BLOCK, DeviceKind::Block), (TYPE_CHAR, DeviceKind::Char)] {
            for (major, minor, access) in (1..4)
                .flat_map(|a| [0, 1, u32::MAX].map(|b| (a, b)))
                .flat_map(|(a, b)| (1..8).map(move |c| (a, b, c)))
            {
                let want = (0..3).map(|bit| 1 << bit).filter(|bit| access & bit != 0).all(|bit| {
                    let fits = |rule: &&DeviceRule| {
                        (rule.kind == DeviceKind::All || rule.kind == name)
                            && rule.major.is_none_or(|number| number == major)
                            && rule.minor.is_none_or(|number| number == minor)
                            && rule.access.0 & bit != 0
                    };
                    rules.iter().rev().find(fits).is_some_and(|rule| rule.allow)
                });
                let answer = run(&program, [u32::from(access) << 16 | kind.cast_unsigned(), major, minor]);
                assert_eq!(answer == 1, want, "{rules:?} {kind} {major}:{minor} {access}");
            }
        }
    }
}
