//! Which records go: those that were not used for the longest time first, and none before those that stand on it.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use ::build::cache::Kind;
use jiff::Timestamp;

use super::policy::{CacheRule, Disk};
use super::usage::Usage;

/// What a rule takes away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Victims {
    /// Ids, those that stand on others first.
    pub(super) ids: Vec<String>,
    /// Bytes that come free.
    pub(super) freed: u64,
}

/// Chooses, and takes what was chosen out of `usage`.
pub(super) fn collect(usage: &mut Usage, rule: &CacheRule, disk: Disk, now: Timestamp) -> Victims {
    let keep = rule.keep(usage.total, disk);
    let since = rule.keep_duration.and_then(|duration| now.checked_sub(duration).ok());
    let candidate = |record: &super::CacheRecord| {
        let spared = !rule.all && (record.shared || matches!(record.kind, Kind::Internal | Kind::Frontend));
        // without a duration there is no moment
        let young = since.is_some_and(|since| record.last_used() > since);
        !record.in_use && !spared && !young && rule.filter.matches(record)
    };
    let mut children: HashMap<String, usize> = HashMap::new();
    for record in usage.records.values() {
        for parent in &record.parents {
            *children.entry(parent.clone()).or_default() += 1;
        }
    }
    let rank = |record: &super::CacheRecord| Reverse((record.last_used(), record.uses, record.id.clone()));
    let free = |id: &str, children: &HashMap<String, usize>| children.get(id).is_none_or(|count| *count == 0);
    let mut next: BinaryHeap<_> = usage
        .records
        .values()
        .filter(|record| candidate(record) && free(&record.id, &children))
        .map(rank)
        .collect();
    let mut victims = Victims::default();
    while keep.is_none_or(|keep| usage.total > keep) {
        let Some(Reverse((_, _, id))) = next.pop() else { break };
        let Some(record) = usage.records.get(&id) else { continue };
        let parents = record.parents.clone();
        victims.freed += usage.take(&id);
        victims.ids.push(id);
        for parent in parents {
            if let Some(count) = children.get_mut(&parent) {
                *count -= 1;
            }
            if let Some(record) = usage.records.get(&parent)
                && free(&parent, &children)
                && candidate(record)
            {
                next.push(rank(record));
            }
        }
    }
    victims
}

#[cfg(test)]
mod tests {
    use super::super::filter::CacheFilter;
    use super::super::tests::{record, usage};
    use super::super::{CacheRecord, Kind};
    use super::*;

    const DISK: Disk = Disk { size: 1 << 40, free: 1 << 40 };

    fn ids(usage: &mut Usage, rule: &CacheRule) -> Vec<String> {
        collect(usage, rule, DISK, Timestamp::from_second(100).unwrap()).ids
    }

    /// `b` and `c` stand on `a`, of which `c` was used last.
    fn three() -> Usage {
        let on_a = |name: &str, used| CacheRecord { parents: vec!["a".into()], ..record(name, used) };
        usage(&[record("a", 30), on_a("b", 10), on_a("c", 30)])
    }

    #[test]
    fn the_oldest_go_first_and_none_beneath_another() {
        let limited = |max_used_space| CacheRule { max_used_space, ..CacheRule::default() };
        assert_eq!(ids(&mut three(), &limited(300)), [""; 0]);
        assert_eq!(ids(&mut three(), &limited(299)), ["b"]);
        assert_eq!(ids(&mut three(), &limited(100)), ["b", "c"]);
        let mut all = three();
        let victims = collect(&mut all, &CacheRule::default(), DISK, Timestamp::UNIX_EPOCH);
        assert_eq!((victims.ids.as_slice(), victims.freed), (&["b".into(), "c".into(), "a".into()][..], 300));
        assert_eq!((all.total, all.records.len()), (0, 0));
    }

    #[test]
    fn what_is_beneath_a_record_that_stays_stays_too() {
        let rule =
            CacheRule { filter: CacheFilter::parse(["id==a", "id==b"]).unwrap(), ..CacheRule::default() };
        assert_eq!(ids(&mut three(), &rule), ["b"]);
        let young =
            CacheRule { keep_duration: Some(jiff::SignedDuration::from_secs(80)), ..CacheRule::default() };
        assert_eq!(ids(&mut three(), &young), ["b"]);
    }

    #[test]
    fn what_is_used_shared_or_our_own_stays() {
        let mut used = three();
        used.records.get_mut("b").unwrap().in_use = true;
        used.records.get_mut("c").unwrap().shared = true;
        assert_eq!(ids(&mut used, &CacheRule::default()), [""; 0]);
        assert_eq!(ids(&mut used, &CacheRule { all: true, ..CacheRule::default() }), ["c"]);
        let own = || usage(&[CacheRecord { kind: Kind::Internal, ..record("a", 1) }]);
        assert_eq!(ids(&mut own(), &CacheRule::default()), [""; 0]);
        assert_eq!(ids(&mut own(), &CacheRule { all: true, ..CacheRule::default() }), ["a"]);
    }
}
