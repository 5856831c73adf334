//! Which ids of the host are free, and which of them a container gets. Pure: the same question has the same answer.

use std::ops::Range;

use super::super::map::{IdRange, is_sound};
use super::super::subid::SubIds;

/// Ids, as half-open rows: the end may be one past the last id.
type Row = Range<u64>;

/// A question for ids of one kind.
pub(super) struct Question<'a> {
    /// Those that containers are given.
    pub(super) pool: &'a [SubIds],
    /// Those that others have.
    pub(super) used: &'a [IdRange],
    /// Rows that are to be there.
    pub(super) forced: &'a [IdRange],
    /// Ids inside, from 0 on.
    pub(super) size: u32,
    /// One more inside.
    pub(super) extra: Option<u32>,
}

/// Why there are none.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// A row that is to be there holds ids of the pool that another container has.
    Taken(IdRange),
    /// Too few are left: needed, free, all.
    Exhausted(u64, u64, u64),
    /// What is free is in too many pieces for one mapping.
    Pieces,
}

impl Question<'_> {
    /// The mapping: the forced rows, and for all other ids inside the lowest ones of the pool that nobody has: in one
    /// row where one is long enough, else in pieces.
    pub(super) fn answer(&self) -> Result<Vec<IdRange>, Refusal> {
        let pool = union(self.pool.iter().map(|row| row_of(row.first, row.count)));
        let used = union(self.used.iter().map(outside));
        // what lies beyond the pool may be shared by whoever says so
        let ours = subtract(&pool, &subtract(&pool, &used));
        if let Some(taken) =
            self.forced.iter().find(|row| ours.iter().any(|other| meet(other, &outside(row))))
        {
            return Err(Refusal::Taken(*taken));
        }
        let mut free = subtract(&subtract(&pool, &used), &union(self.forced.iter().map(outside)));
        let wanted = self.wanted();
        let (needed, left) = (total(&wanted), total(&free));
        if needed > left {
            return Err(Refusal::Exhausted(needed, left, total(&pool)));
        }
        let mut map = self.forced.to_vec();
        for gap in wanted {
            place(gap, &mut free, &mut map);
        }
        map.sort_unstable_by_key(|row| row.inside);
        if is_sound(&map) { Ok(map) } else { Err(Refusal::Pieces) }
    }

    /// The ids inside that need one of the pool.
    fn wanted(&self) -> Vec<Row> {
        let extra = self.extra.map(|id| row_of(id, 1));
        let all = union([row_of(0, self.size)].into_iter().chain(extra));
        subtract(&all, &union(self.forced.iter().map(|row| row_of(row.inside, row.count))))
    }
}

fn row_of(first: u32, count: u32) -> Row {
    u64::from(first)..u64::from(first) + u64::from(count)
}

fn outside(row: &IdRange) -> Row {
    row_of(row.outside, row.count)
}

fn meet(one: &Row, other: &Row) -> bool {
    one.start < other.end && other.start < one.end
}

fn length(row: &Row) -> u64 {
    row.end - row.start
}

fn total(rows: &[Row]) -> u64 {
    rows.iter().map(length).sum()
}

/// The same ids, lowest first, in as few rows as there can be.
fn union(rows: impl Iterator<Item = Row>) -> Vec<Row> {
    let mut sorted: Vec<Row> = rows.filter(|row| row.start < row.end).collect();
    sorted.sort_unstable_by_key(|row| row.start);
    let mut joined: Vec<Row> = Vec::with_capacity(sorted.len());
    for row in sorted {
        match joined.last_mut() {
            Some(last) if row.start <= last.end => last.end = last.end.max(row.end),
            _ => joined.push(row),
        }
    }
    joined
}

/// What of `rows` is not of `others`; both are unions.
fn subtract(rows: &[Row], others: &[Row]) -> Vec<Row> {
    let mut left = Vec::new();
    for row in rows {
        let mut start = row.start;
        for other in others.iter().filter(|other| meet(other, row)) {
            if other.start > start {
                left.push(start..other.start);
            }
            start = start.max(other.end);
        }
        if start < row.end {
            left.push(start..row.end);
        }
    }
    left
}

/// Gives ids inside some that are free, which are enough.
fn place(mut gap: Row, free: &mut Vec<Row>, map: &mut Vec<IdRange>) {
    while gap.start < gap.end {
        let whole = free.iter().position(|row| length(row) >= length(&gap));
        let Some(row) = free.get_mut(whole.unwrap_or(0)) else { return };
        let count = length(row).min(length(&gap));
        let number = |id: u64| u32::try_from(id).unwrap_or(u32::MAX);
        map.push(IdRange { inside: number(gap.start), outside: number(row.start), count: number(count) });
        row.start += count;
        gap.start += count;
        free.retain(|row| row.start < row.end);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pool(rows: &[(u32, u32)]) -> Vec<SubIds> {
        rows.iter().map(|&(first, count)| SubIds { first, count }).collect()
    }

    fn range(inside: u32, outside: u32, count: u32) -> IdRange {
        IdRange { inside, outside, count }
    }

    fn ask(pool: &[SubIds], used: &[IdRange], size: u32) -> Result<Vec<IdRange>, Refusal> {
        Question { pool, used, forced: &[], size, extra: None }.answer()
    }

    #[test]
    fn the_lowest_row_that_is_long_enough_is_taken() {
        let pool = pool(&[(1000, 100), (5000, 50)]);
        assert_eq!(ask(&pool, &[], 40).unwrap(), [range(0, 1000, 40)]);
        let used = [range(0, 1000, 40)];
        assert_eq!(ask(&pool, &used, 60).unwrap(), [range(0, 1040, 60)]);
        let used = [range(0, 1030, 40)];
        assert_eq!(ask(&pool, &used, 50).unwrap(), [range(0, 5000, 50)]);
        // no row is long enough: pieces
        assert_eq!(ask(&pool, &used, 51).unwrap(), [range(0, 1000, 30), range(30, 1070, 21)]);
        assert_eq!(ask(&pool, &used, 111), Err(Refusal::Exhausted(111, 110, 150)));
        assert_eq!(ask(&[], &[], 1), Err(Refusal::Exhausted(1, 0, 0)));
    }

    #[test]
    fn forced_rows_are_there_and_the_rest_around_them() {
        let pool = pool(&[(1000, 100)]);
        let forced = [range(5, 0, 1), range(90, 1001, 2)];
        let question = Question { pool: &pool, used: &[], forced: &forced, size: 10, extra: Some(65_534) };
        let map = [
            range(0, 1003, 5),
            range(5, 0, 1),
            range(6, 1008, 4),
            range(90, 1001, 2),
            range(65_534, 1000, 1),
        ];
        assert_eq!(question.answer().unwrap(), map);
        let used = [range(0, 1002, 5)];
        assert_eq!(Question { used: &used, ..question }.answer(), Err(Refusal::Taken(forced[1])));
        // beyond the pool, a row may be several containers'
        let used = [range(0, 0, 1)];
        let question = Question { pool: &pool, used: &used, forced: &forced[..1], size: 10, extra: None };
        assert!(question.answer().is_ok());
    }

    /// One step: a container comes (how many ids, whether it has a forced row) or goes (which).
    #[derive(Debug, Clone)]
    enum Step {
        Make(u32, Option<(u32, u32, u32)>),
        Remove(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let forced = proptest::option::of((0u32..80, 900u32..1400, 1u32..20));
        prop_oneof![
            3 => (1u32..120, forced).prop_map(|(size, forced)| Step::Make(size, forced)),
            2 => (0usize..64).prop_map(Step::Remove),
        ]
    }

    proptest! {
        /// Whatever comes and goes: nobody has an id of the pool that another has; all ids that were asked for are
        /// there; a refusal is one only when ids are lacking; what is given back is given again.
        #[test]
        fn no_id_is_two_containers(
            rows in proptest::collection::vec((1000u32..2000, 1u32..200), 1..6),
            steps in proptest::collection::vec(step(), 1..80),
        ) {
            let pool = pool(&rows);
            let whole = union(pool.iter().map(|row| row_of(row.first, row.count)));
            let mut living: Vec<Vec<IdRange>> = Vec::new();
            for step in steps {
                let used: Vec<IdRange> = living.iter().flatten().copied().collect();
                let (size, forced) = match step {
                    Step::Remove(which) => {
                        if !living.is_empty() {
                            living.swap_remove(which % living.len());
                        }
                        continue;
                    }
                    Step::Make(size, forced) => (size, forced),
                };
                let forced: Vec<IdRange> =
                    forced.map(|(inside, outside, count)| range(inside, outside, count)).into_iter().collect();
                let question = Question { pool: &pool, used: &used, forced: &forced, size, extra: None };
                let answer = question.answer();
                prop_assert_eq!(&answer, &question.answer());
                let map = match answer {
                    Ok(map) => map,
                    Err(Refusal::Exhausted(needed, free, all)) => {
                        prop_assert!(needed > free && free <= all);
                        continue;
                    }
                    Err(Refusal::Taken(row)) => {
                        prop_assert!(used.iter().any(|other| meet(&outside(other), &outside(&row))));
                        continue;
                    }
                    Err(Refusal::Pieces) => return Err(TestCaseError::fail("pieces")),
                };
                prop_assert!(is_sound(&map));
                for row in &map {
                    let ours = subtract(&whole, &subtract(&whole, &[outside(row)]));
                    prop_assert!(forced.contains(row) || total(&ours) == u64::from(row.count), "not of the pool");
                    for other in &used {
                        prop_assert!(!ours.iter().any(|part| meet(part, &outside(other))), "{row:?} {other:?}");
                    }
                }
                for id in 0..u64::from(size) {
                    let has = |row: &IdRange| row_of(row.inside, row.count).contains(&id);
                    prop_assert_eq!(map.iter().filter(|row| has(row)).count(), 1);
                }
                living.push(map);
            }
            // all that have gone gave everything back
            let all = u32::try_from(total(&whole)).unwrap();
            prop_assert_eq!(total(&union(ask(&pool, &[], all).unwrap().iter().map(outside))), u64::from(all));
            if let Some(gone) = living.pop() {
                let used: Vec<IdRange> = living.iter().flatten().copied().collect();
                let forced: Vec<IdRange> = gone.clone();
                let again = Question { pool: &pool, used: &used, forced: &forced, size: 1, extra: None }.answer();
                prop_assert!(matches!(again, Ok(_) | Err(Refusal::Exhausted(..))), "{again:?}");
            }
        }
    }
}
