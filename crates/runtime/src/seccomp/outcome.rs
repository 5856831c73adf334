//! The policy's rules, and what they say about each system call number of an ABI.

use std::rc::Rc;

use oci_spec::runtime::{LinuxSeccomp, LinuxSeccompArg, LinuxSeccompOperator, LinuxSyscall};

use super::abi::Abi;
use super::{Error, action, mux, syscalls};

/// Numbers from here on are ARM's private calls, which say nothing about how new a policy is.
const ARM_PRIVATE: u32 = 0xf_0000;

/// What a filter answers for a range of numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Always this.
    Return(u32),
    /// That of the first alternative that holds, else the policy's default.
    Check {
        alternatives: Rc<[Alternative]>,
        /// Are all 64 bits of the arguments compared?
        wide: bool,
    },
}

/// Conditions on arguments that must all hold, and the answer then.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Alternative {
    pub(super) conditions: Vec<Condition>,
    pub(super) action: u32,
}

/// A comparison of one argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Condition {
    /// Which argument, 0–5.
    pub(super) index: u8,
    pub(super) test: Test,
    /// Holds when the test fails.
    pub(super) negated: bool,
}

/// What is compared; the other operators are the negations of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Test {
    /// `argument & mask == value`
    Equal { mask: u64, value: u64 },
    /// `argument > value`
    Greater(u64),
    /// `argument >= value`
    AtLeast(u64),
}

/// A range of numbers, up to the next one's start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) start: u32,
    pub(super) outcome: Outcome,
}

/// A policy's rules, checked.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) default: u32,
    /// The answer to calls that are newer than the policy.
    newer: u32,
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    call: Option<&'static syscalls::Row>,
    door: Option<mux::Door>,
    action: u32,
    /// Each a set of conditions; empty means always.
    alternatives: Rc<[Vec<Condition>]>,
    /// Says the default, and so only how new the policy is.
    is_default: bool,
}

impl Rules {
    pub(super) fn read(policy: &LinuxSeccomp) -> Result<Self, Error> {
        let default = action::value(policy.default_action(), policy.default_errno_ret())?;
        let permissive = action::is_permissive(policy.default_action());
        let newer = if permissive { default } else { action::NO_SUCH_CALL };
        let mut rules = Vec::new();
        for rule in policy.syscalls().iter().flatten() {
            read_rule(rule, default, &mut rules)?;
        }
        Ok(Self { default, newer, rules })
    }

    /// The ranges of `abi`'s numbers, the first starting at the ABI's first number.
    pub(super) fn segments(&self, abi: Abi) -> Vec<Segment> {
        let first = if abi == Abi::X32 { Abi::X32_BIT } else { 0 };
        let mut ranges = Ranges { list: Vec::new() };
        let mut next = first;
        for (number, outcome) in self.outcomes(abi) {
            if number > next {
                ranges.push(next, Outcome::Return(self.default));
            }
            ranges.push(number, outcome);
            next = number + 1;
        }
        match self.newest(abi) {
            // What lies above the newest call that the policy names is newer than the policy: the
            // program shall believe that the kernel doesn't have it, and fall back.
            Some(newest) if next > newest => ranges.push(next, Outcome::Return(self.newer)),
            Some(newest) => {
                ranges.push(next, Outcome::Return(self.default));
                ranges.push(newest + 1, Outcome::Return(self.newer));
            }
            None => ranges.push(next, Outcome::Return(self.default)),
        }
        ranges.list
    }

    /// The newest call of `abi` that any rule names.
    fn newest(&self, abi: Abi) -> Option<u32> {
        let named = self.rules.iter().filter_map(|rule| rule.call?.number(abi));
        named.filter(|&number| number & !Abi::X32_BIT < ARM_PRIVATE).max()
    }

    /// The outcomes that differ from "no rule", by number.
    fn outcomes(&self, abi: Abi) -> Vec<(u32, Outcome)> {
        let mut found: Vec<(u32, usize, Option<u64>)> = Vec::with_capacity(self.rules.len());
        for (index, rule) in self.rules.iter().enumerate().filter(|(_, rule)| !rule.is_default) {
            found.extend(rule.call.and_then(|call| call.number(abi)).map(|number| (number, index, None)));
            if abi == Abi::X86 {
                found.extend(rule.door.map(|door| (door.number, index, Some(door.call))));
            }
        }
        // By number, and within a number in the policy's order.
        found.sort_unstable();
        found.chunk_by(|a, b| a.0 == b.0).map(|same| (same[0].0, self.merge(same, abi))).collect()
    }

    /// Several rules about one number: one without conditions decides alone, else the first that holds.
    fn merge(&self, same: &[(u32, usize, Option<u64>)], abi: Abi) -> Outcome {
        let direct =
            |&(_, index, call): &(u32, usize, Option<u64>)| call.is_none().then(|| &self.rules[index]);
        if let Some(rule) = same.iter().filter_map(direct).find(|rule| rule.alternatives.is_empty()) {
            return Outcome::Return(rule.action);
        }
        let checks = same.iter().flat_map(|&(_, index, call)| self.alternatives(&self.rules[index], call));
        let alternatives: Rc<[_]> = checks.collect();
        match alternatives.is_empty() {
            true => Outcome::Return(self.default),
            false => Outcome::Check { alternatives, wide: abi.has_wide_arguments() },
        }
    }

    fn alternatives(&self, rule: &Rule, call: Option<u64>) -> Vec<Alternative> {
        let action = rule.action;
        let Some(call) = call else {
            let sets = rule.alternatives.iter().cloned();
            return sets.map(|conditions| Alternative { conditions, action }).collect();
        };
        // Through the older door the other arguments are in the caller's memory, out of a filter's sight.
        // A rule with conditions then may only make it stricter than the default.
        if !rule.alternatives.is_empty() && action::is_looser(action, self.default) {
            return Vec::new();
        }
        let test = Test::Equal { mask: u64::MAX, value: call };
        vec![Alternative { conditions: vec![Condition { index: 0, test, negated: false }], action }]
    }
}

fn read_rule(rule: &LinuxSyscall, default: u32, rules: &mut Vec<Rule>) -> Result<(), Error> {
    let action = action::value(rule.action(), rule.errno_ret())?;
    let args = rule.args().as_deref().unwrap_or_default();
    if let Some(bad) = args.iter().find(|arg| arg.index() > 5) {
        let name = rule.names().join(", ");
        return Err(Error::Argument { name, index: bad.index() });
    }
    let alternatives = conditions(args);
    for name in rule.names() {
        let (call, door) = (syscalls::find(name), mux::door(name));
        if call.is_some() || door.is_some() {
            let alternatives = Rc::clone(&alternatives);
            rules.push(Rule { call, door, action, alternatives, is_default: action == default });
        }
    }
    Ok(())
}

/// All of an entry's conditions must hold, but when two are about the same argument, any one suffices:
/// the meaning that runc gave this first, and policies rely on.
fn conditions(args: &[LinuxSeccompArg]) -> Rc<[Vec<Condition>]> {
    let repeated =
        args.iter().enumerate().any(|(at, arg)| args[..at].iter().any(|other| other.index() == arg.index()));
    let all = args.iter().map(condition);
    match (args.is_empty(), repeated) {
        (true, _) => Rc::new([]),
        (false, true) => all.map(|one| vec![one]).collect(),
        (false, false) => Rc::new([all.collect()]),
    }
}

fn condition(arg: &LinuxSeccompArg) -> Condition {
    let value = arg.value();
    let (test, negated) = match arg.op() {
        LinuxSeccompOperator::ScmpCmpEq => (Test::Equal { mask: u64::MAX, value }, false),
        LinuxSeccompOperator::ScmpCmpNe => (Test::Equal { mask: u64::MAX, value }, true),
        LinuxSeccompOperator::ScmpCmpGt => (Test::Greater(value), false),
        LinuxSeccompOperator::ScmpCmpLe => (Test::Greater(value), true),
        LinuxSeccompOperator::ScmpCmpGe => (Test::AtLeast(value), false),
        LinuxSeccompOperator::ScmpCmpLt => (Test::AtLeast(value), true),
        LinuxSeccompOperator::ScmpCmpMaskedEq => {
            (Test::Equal { mask: value, value: arg.value_two().unwrap_or(0) }, false)
        }
    };
    Condition { index: u8::try_from(arg.index()).unwrap_or(u8::MAX), test, negated }
}

/// Collects ranges; neighbours with the same outcome become one.
struct Ranges {
    list: Vec<Segment>,
}

impl Ranges {
    fn push(&mut self, start: u32, outcome: Outcome) {
        if self.list.last().is_none_or(|last| last.outcome != outcome) {
            self.list.push(Segment { start, outcome });
        }
    }
}
