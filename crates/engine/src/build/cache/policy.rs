//! How large the cache may grow, in BuildKit's terms: rules that are applied one after the other.

use jiff::SignedDuration;

use super::filter::CacheFilter;
use crate::error::Result;

/// One rule, and what a prune asks for.
#[derive(Clone, Debug, Default)]
pub struct CacheRule {
    /// Which records.
    pub filter: CacheFilter,
    /// Also those that images have layers of, and the builder's own.
    pub all: bool,
    /// Those that were used within this time stay.
    pub keep_duration: Option<SignedDuration>,
    /// Bytes that the cache may always have.
    pub reserved_space: u64,
    /// Bytes that it may have at most; 0 = no such limit.
    pub max_used_space: u64,
    /// Bytes of the disk that it leaves free, as long as it has more than what is reserved.
    pub min_free_space: u64,
}

/// Where the cache lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Disk {
    /// Bytes of all.
    pub size: u64,
    /// Bytes that are free.
    pub free: u64,
}

/// What the rules that nobody has to give are made of (`builder.gc` of `daemon.json`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheLimits {
    /// As [`CacheRule::reserved_space`].
    pub reserved_space: u64,
    /// As [`CacheRule::max_used_space`].
    pub max_used_space: u64,
    /// As [`CacheRule::min_free_space`].
    pub min_free_space: u64,
}

/// What `builder.gc` of `daemon.json` says.
#[derive(Clone, Debug)]
pub enum CachePolicy {
    /// Nothing is collected by itself.
    Disabled,
    /// BuildKit's rules, with these limits; with none: a tenth of the disk (10 GB at most) may always be used, four
    /// fifths (100 GB) at most, and a fifth stays free.
    Limits(Option<CacheLimits>),
    /// These rules.
    Rules(Vec<CacheRule>),
}

impl Default for CachePolicy {
    fn default() -> Self {
        Self::Limits(None)
    }
}

const GB: u64 = 1_000_000_000;
/// What is easily made again (directories of clients, cache mounts) stays within this, once it was not used for two days.
const EASY_SPACE: u64 = 512_000_000;
const TWO_DAYS: SignedDuration = SignedDuration::from_hours(48);
const SIXTY_DAYS: SignedDuration = SignedDuration::from_hours(60 * 24);

impl CacheRule {
    /// Bytes that may stay of `total`; `None` when everything that the rule is about goes.
    #[must_use]
    pub fn keep(&self, total: u64, disk: Disk) -> Option<u64> {
        if self.reserved_space == 0 && self.max_used_space == 0 && self.min_free_space == 0 {
            return None;
        }
        let mut keep = if self.max_used_space == 0 { u64::MAX } else { self.max_used_space };
        let excess = self.min_free_space.saturating_sub(disk.free);
        if excess > 0 {
            keep = keep.min(total.saturating_sub(excess));
        } else if self.max_used_space == 0 && self.min_free_space == 0 {
            // only what stays is given: the rest goes
            keep = 0;
        }
        Some(keep.max(self.reserved_space))
    }
}

impl CachePolicy {
    /// The rules, for a disk.
    ///
    /// # Errors
    /// None of ours: a filter of our own that can't be read.
    pub fn rules(&self, disk: Disk) -> Result<Vec<CacheRule>> {
        let limits = match self {
            Self::Disabled => return Ok(Vec::new()),
            Self::Rules(rules) => return Ok(rules.clone()),
            Self::Limits(limits) => limits.unwrap_or(CacheLimits {
                reserved_space: (disk.size / 10).min(10 * GB),
                max_used_space: (disk.size / 5 * 4).min(100 * GB),
                min_free_space: disk.size / 5,
            }),
        };
        let CacheLimits { reserved_space, max_used_space, min_free_space } = limits;
        let rule = CacheRule { reserved_space, max_used_space, min_free_space, ..CacheRule::default() };
        let easy = ["type==source.local", "type==exec.cachemount", "type==source.git.checkout"];
        Ok(vec![
            CacheRule {
                filter: CacheFilter::parse(easy)?,
                keep_duration: Some(TWO_DAYS),
                max_used_space: EASY_SPACE,
                ..CacheRule::default()
            },
            CacheRule { keep_duration: Some(SIXTY_DAYS), ..rule.clone() },
            rule.clone(),
            CacheRule { all: true, ..rule },
            // notes of the builder's own take no space that is counted, but should not grow for ever
            CacheRule {
                filter: CacheFilter::parse(["type==internal"])?,
                all: true,
                keep_duration: Some(SIXTY_DAYS),
                ..CacheRule::default()
            },
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_stay() {
        let rule = |reserved_space, max_used_space, min_free_space| CacheRule {
            reserved_space,
            max_used_space,
            min_free_space,
            ..CacheRule::default()
        };
        let disk = Disk { size: 1000, free: 100 };
        for (rule, keep) in [
            (rule(0, 0, 0), None),
            (rule(70, 0, 0), Some(70)),
            (rule(0, 200, 0), Some(200)),
            // the disk has 100 of 150 free
            (rule(0, 0, 150), Some(450)),
            (rule(0, 480, 150), Some(450)),
            (rule(460, 480, 150), Some(460)),
            (rule(10, 200, 90), Some(200)),
            (rule(10, 0, 90), Some(u64::MAX)),
        ] {
            assert_eq!(rule.keep(500, disk), keep, "{rule:?}");
        }
    }

    #[test]
    fn limits_are_of_the_disk_unless_they_are_given() {
        let disk = Disk { size: 50 * GB, free: 0 };
        let rules = CachePolicy::default().rules(disk).unwrap();
        let (reserved, max, free) =
            (rules[2].reserved_space, rules[2].max_used_space, rules[2].min_free_space);
        assert_eq!((reserved, max, free), (5 * GB, 40 * GB, 10 * GB));
        let limits = CacheLimits { reserved_space: 7, max_used_space: 0, min_free_space: 0 };
        let rules = CachePolicy::Limits(Some(limits)).rules(disk).unwrap();
        assert_eq!((rules[3].reserved_space, rules[3].max_used_space), (7, 0));
        assert!(CachePolicy::Disabled.rules(disk).unwrap().is_empty());
    }
}
