//! Many values of one argument as intervals, so that they too become a tree instead of a list.

use super::outcome::{Alternative, Outcome, Segment, Test};

/// Fewer alternatives than this are tried one after another.
const MANY: usize = 3;

/// A check of one argument by intervals.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Intervals {
    /// Which argument.
    pub(super) index: u8,
    /// What the low word decides.
    pub(super) low: Vec<Segment>,
    /// The answer when the high word isn't zero.
    pub(super) above: u32,
}

/// `alternatives` as intervals, if each is one comparison of the same argument with the same answer, and
/// the answer doesn't change any more above 32 bits.
pub(super) fn of(alternatives: &[Alternative], default: u32, wide: bool) -> Option<Intervals> {
    let first = alternatives.first().filter(|_| alternatives.len() >= MANY)?;
    let index = first.conditions.first()?.index;
    let mut found = Vec::with_capacity(alternatives.len());
    for alternative in alternatives {
        let [condition] = alternative.conditions.as_slice() else { return None };
        if condition.index != index || alternative.action != first.action {
            return None;
        }
        found.extend(intervals(condition.test, condition.negated, wide)?);
    }
    let merged = merge(found);
    let (low, above) = split(&merged)?;
    let answer = |inside| if inside { first.action } else { default };
    Some(Intervals { index, low: segments(&low, first.action, default), above: answer(above) })
}

/// First and last value of an interval.
type Interval = (u64, u64);

/// Where a comparison holds. A 32-bit program's values have no more than 32 bits.
fn intervals(test: Test, negated: bool, wide: bool) -> Option<Vec<Interval>> {
    let max = if wide { u64::MAX } else { u64::from(u32::MAX) };
    let (first, last) = match test {
        Test::Equal { mask: u64::MAX, value } => (value & max, value & max),
        Test::Equal { .. } => return None,
        Test::AtLeast(value) => (value & max, max),
        Test::Greater(value) if value & max == max => {
            return Some(if negated { vec![(0, max)] } else { vec![] });
        }
        Test::Greater(value) => ((value & max) + 1, max),
    };
    if !negated {
        return Some(vec![(first, last)]);
    }
    let below = first.checked_sub(1).map(|end| (0, end));
    let above = (last < max).then(|| (last + 1, max));
    Some(below.into_iter().chain(above).collect())
}

/// In order, those that overlap or touch as one.
fn merge(mut all: Vec<Interval>) -> Vec<Interval> {
    all.sort_unstable();
    let mut merged: Vec<Interval> = Vec::with_capacity(all.len());
    for (first, last) in all {
        match merged.last_mut() {
            Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
            _ => merged.push((first, last)),
        }
    }
    merged
}

/// The intervals of the low word, and whether everything above 32 bits is inside; `None` when a part of it is.
fn split(all: &[Interval]) -> Option<(Vec<(u32, u32)>, bool)> {
    let (mut low, mut above) = (Vec::new(), false);
    for &(first, last) in all {
        let end = u32::try_from(last).unwrap_or(u32::MAX);
        match u32::try_from(first) {
            Ok(first) => low.push((first, end)),
            Err(_) if first == 1 << 32 => {}
            Err(_) => return None,
        }
        if last > u64::from(u32::MAX) {
            above = last == u64::MAX;
            if !above {
                return None;
            }
        }
    }
    Some((low, above))
}

fn segments(inside: &[(u32, u32)], action: u32, default: u32) -> Vec<Segment> {
    let mut list = Vec::with_capacity(2 * inside.len() + 1);
    let mut next = Some(0);
    for &(first, last) in inside {
        if next.is_some_and(|next| next < first) {
            list.push(Segment { start: next.unwrap_or(0), outcome: Outcome::Return(default) });
        }
        list.push(Segment { start: first, outcome: Outcome::Return(action) });
        next = last.checked_add(1);
    }
    list.extend(next.map(|start| Segment { start, outcome: Outcome::Return(default) }));
    list
}

#[cfg(test)]
mod tests {
    use super::super::outcome::Condition;
    use super::*;

    fn one(test: Test, negated: bool) -> Alternative {
        Alternative { conditions: vec![Condition { index: 1, test, negated }], action: 7 }
    }

    fn equal(value: u64) -> Alternative {
        one(Test::Equal { mask: u64::MAX, value }, false)
    }

    fn starts(intervals: &Intervals) -> Vec<(u32, bool)> {
        intervals.low.iter().map(|part| (part.start, part.outcome == Outcome::Return(7))).collect()
    }

    #[test]
    fn neighbours_join() {
        let list = [equal(3), equal(1), equal(2), one(Test::AtLeast(1), true), equal(9)];
        let found = of(&list, 0, true).unwrap();
        assert_eq!(starts(&found), [(0, true), (4, false), (9, true), (10, false)]);
        assert_eq!((found.index, found.above), (1, 0));
    }

    #[test]
    fn up_to_the_end() {
        let found = of(&[equal(1), equal(5), equal(0xffff_ffff)], 0, true).unwrap();
        assert_eq!(
            starts(&found),
            [(0, false), (1, true), (2, false), (5, true), (6, false), (0xffff_ffff, true)]
        );
        let found = of(&[equal(1), equal(5), one(Test::Greater(8), false)], 0, true).unwrap();
        assert_eq!((starts(&found).pop(), found.above), (Some((9, true)), 7));
    }

    #[test]
    fn what_is_decided_above_32_bits_stays_a_list() {
        assert_eq!(of(&[equal(1), equal(2), equal(1 << 32)], 0, true), None);
        assert!(of(&[equal(1), equal(2), equal(1 << 32)], 0, false).is_some(), "0 for a 32-bit program");
        assert_eq!(of(&[equal(1), equal(2)], 0, true), None, "few");
        let masked = one(Test::Equal { mask: 3, value: 1 }, false);
        assert_eq!(of(&[equal(1), equal(2), masked], 0, true), None);
    }
}
