//! Ranges as a program of classic BPF (`bpf(4)`, kernel `networking/filter.rst`).
//!
//! The program is written from its end to its beginning, because jumps only lead forward: whatever an
//! instruction jumps to exists already and its distance is known.

use std::collections::HashMap;

use sys::seccomp::SockFilter;

use super::abi::Abi;
use super::interval::Intervals;
use super::outcome::{Alternative, Condition, Outcome, Rules, Segment, Test};
use super::{Error, action, interval};

const LOAD: u16 = 0x20;
const AND: u16 = 0x54;
const JUMP: u16 = 0x05;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_GREATER: u16 = 0x25;
const JUMP_AT_LEAST: u16 = 0x35;
const RETURN: u16 = 0x06;

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const ARGS: u32 = 16;

/// Farthest target of a conditional jump, less the hops that may come between.
const REACH: usize = 250;

/// The filter for `abis`, the machine's own first; calls of other ABIs kill the thread.
pub(super) fn program(rules: &Rules, abis: &[Abi]) -> Result<Vec<SockFilter>, Error> {
    let mut code = Backwards::default();
    let mut foreign = code.ret(action::KILL_THREAD);
    // x32's calls are marked by their number and share the tree of x86-64.
    for &abi in abis.iter().rev().filter(|&&abi| abi != Abi::X32) {
        let mut segments = rules.segments(abi);
        if abi == Abi::X86_64 {
            segments.extend(above_x86_64(rules, abis.contains(&Abi::X32)));
        }
        let tree = code.tree(&segments, rules.default);
        let start = code.load(NUMBER, tree);
        foreign = code.compare(JUMP_EQUAL, abi.audit(), start, foreign);
    }
    code.load(ARCH, foreign);
    code.finish()
}

/// The numbers with x32's bit: a kill without that ABI, except for -1, by which tracers skip a call.
fn above_x86_64(rules: &Rules, x32: bool) -> Vec<Segment> {
    if x32 {
        return rules.segments(Abi::X32);
    }
    vec![
        Segment { start: Abi::X32_BIT, outcome: Outcome::Return(action::KILL_THREAD) },
        Segment { start: u32::MAX, outcome: Outcome::Return(rules.default) },
    ]
}

/// A place in the program, counted from its end.
type Label = usize;

/// The program so far, the last instruction first.
#[derive(Default)]
struct Backwards {
    code: Vec<SockFilter>,
    /// The nearest `return` of each value.
    returns: HashMap<u32, Label>,
    /// Checks of arguments that exist already, by width.
    checks: HashMap<(Vec<Alternative>, bool), Label>,
}

impl Backwards {
    fn push(&mut self, code: u16, jt: u8, jf: u8, k: u32) -> Label {
        self.code.push(SockFilter { code, jt, jf, k });
        self.code.len() - 1
    }

    /// How many instructions lie between the next one and `label`.
    fn distance(&self, label: Label) -> usize {
        self.code.len() - label - 1
    }

    fn ret(&mut self, value: u32) -> Label {
        match self.returns.get(&value) {
            Some(&label) if self.distance(label) <= REACH => label,
            _ => {
                let label = self.push(RETURN, 0, 0, value);
                self.returns.insert(value, label);
                label
            }
        }
    }

    /// A label from which a conditional jump reaches `label`.
    fn near(&mut self, label: Label) -> Label {
        let distance = self.distance(label);
        if distance <= REACH {
            label
        } else {
            self.push(JUMP, 0, 0, u32::try_from(distance).unwrap_or(u32::MAX))
        }
    }

    /// Loads a word and goes on at `next`.
    fn load(&mut self, offset: u32, next: Label) -> Label {
        self.fall_to(next);
        self.push(LOAD, 0, 0, offset)
    }

    /// Makes `next` the instruction that follows.
    fn fall_to(&mut self, next: Label) {
        if self.distance(next) > 0 {
            let distance = u32::try_from(self.distance(next)).unwrap_or(u32::MAX);
            self.push(JUMP, 0, 0, distance);
        }
    }

    /// Compares the loaded word with `value`.
    fn compare(&mut self, code: u16, value: u32, yes: Label, no: Label) -> Label {
        if yes == no {
            return yes;
        }
        let yes = self.near(yes);
        let no = self.near(no);
        let skip = |label| u8::try_from(self.distance(label)).unwrap_or(u8::MAX);
        let (yes, no) = (skip(yes), skip(no));
        self.push(code, yes, no, value)
    }

    /// A balanced tree over ranges, for the loaded number.
    fn tree(&mut self, segments: &[Segment], default: u32) -> Label {
        match segments {
            [] => self.ret(default),
            [one] => self.outcome(&one.outcome, default),
            several => {
                let (low, high) = several.split_at(several.len() / 2);
                let above = self.tree(high, default);
                let below = self.tree(low, default);
                self.compare(JUMP_AT_LEAST, high[0].start, above, below)
            }
        }
    }

    fn outcome(&mut self, outcome: &Outcome, default: u32) -> Label {
        match outcome {
            Outcome::Return(value) => self.ret(*value),
            Outcome::Check { alternatives, wide } => self.check(alternatives, default, *wide),
        }
    }

    /// A check of arguments, made once for all numbers and ABIs that share it.
    fn check(&mut self, alternatives: &[Alternative], default: u32, wide: bool) -> Label {
        let key = (alternatives.to_vec(), wide);
        if let Some(&label) = self.checks.get(&key) {
            return label;
        }
        let label = match interval::of(alternatives, default, wide) {
            Some(intervals) => self.intervals(&intervals, default, wide),
            None => self.list(alternatives, default, wide),
        };
        self.checks.insert(key, label);
        label
    }

    /// A tree over the values of one argument.
    fn intervals(&mut self, intervals: &Intervals, default: u32, wide: bool) -> Label {
        let (low, high) = words(intervals.index);
        let tree = self.tree(&intervals.low, default);
        let start = self.load(low, tree);
        if !wide {
            return start;
        }
        let above = self.ret(intervals.above);
        let compare = self.compare(JUMP_EQUAL, 0, start, above);
        self.load(high, compare)
    }

    /// Tries alternatives in order.
    fn list(&mut self, alternatives: &[Alternative], default: u32, wide: bool) -> Label {
        let mut otherwise = self.ret(default);
        for alternative in alternatives.iter().rev() {
            let mut holds = self.ret(alternative.action);
            for condition in alternative.conditions.iter().rev() {
                holds = self.condition(condition, holds, otherwise, wide);
            }
            otherwise = holds;
        }
        otherwise
    }

    fn condition(&mut self, condition: &Condition, yes: Label, no: Label, wide: bool) -> Label {
        let (yes, no) = if condition.negated { (no, yes) } else { (yes, no) };
        let (low, high) = words(condition.index);
        match condition.test {
            Test::Equal { mask, value } => {
                let end = self.masked(low, halves(mask).0, halves(value).0, yes, no);
                if wide { self.masked(high, halves(mask).1, halves(value).1, end, no) } else { end }
            }
            Test::Greater(value) => self.ordered(JUMP_GREATER, (low, high), value, yes, no, wide),
            Test::AtLeast(value) => self.ordered(JUMP_AT_LEAST, (low, high), value, yes, no, wide),
        }
    }

    /// `word & mask == value`
    fn masked(&mut self, offset: u32, mask: u32, value: u32, yes: Label, no: Label) -> Label {
        match mask {
            0 => return if value == 0 { yes } else { no },
            u32::MAX => {
                let compare = self.compare(JUMP_EQUAL, value, yes, no);
                return self.load(offset, compare);
            }
            _ => {}
        }
        let compare = self.compare(JUMP_EQUAL, value, yes, no);
        self.fall_to(compare);
        let and = self.push(AND, 0, 0, mask);
        self.load(offset, and)
    }

    /// The high word decides unless it is equal.
    fn ordered(&mut self, code: u16, at: (u32, u32), value: u64, yes: Label, no: Label, wide: bool) -> Label {
        let (low, high) = halves(value);
        let compare = self.compare(code, low, yes, no);
        let end = self.load(at.0, compare);
        if !wide {
            return end;
        }
        let equal = self.compare(JUMP_EQUAL, high, end, no);
        let greater = self.compare(JUMP_GREATER, high, yes, equal);
        self.load(at.1, greater)
    }

    fn finish(mut self) -> Result<Vec<SockFilter>, Error> {
        self.code.reverse();
        Ok(self.code)
    }
}

/// Where an argument's low and high word are; both machines are little-endian.
fn words(index: u8) -> (u32, u32) {
    let low = ARGS + 8 * u32::from(index);
    (low, low + 4)
}

/// The low and the high word of a value.
fn halves(value: u64) -> (u32, u32) {
    #[expect(clippy::cast_possible_truncation, reason = "the halves are what is wanted")]
    (value as u32, (value >> 32) as u32)
}
