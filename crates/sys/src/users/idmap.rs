//! Mappings of user and group ids between a user namespace and the one above it (`user_namespaces(7)`).

/// The id that stands for all that have none.
pub const OVERFLOW: u32 = 65_534;
/// Most ranges of a mapping: the kernel's limit.
pub const MOST_RANGES: usize = 340;

/// A row of ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Range {
    /// The first one inside.
    pub inside: u32,
    /// The first one outside.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

impl Range {
    /// Reads the first id inside, the first one outside, and how many: three numbers, and nothing else.
    #[must_use]
    pub fn of_fields<'a>(mut fields: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut number = || fields.next()?.parse().ok();
        let range = Self { inside: number()?, outside: number()?, count: number()? };
        fields.next().is_none().then_some(range)
    }

    /// Whether it holds something, and no id is past the last one (`u32::MAX` is none).
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let fits = |first: u32| first.checked_add(self.count).is_some_and(|end| end > first);
        fits(self.inside) && fits(self.outside)
    }
}

/// Mappings of users and of groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Map {
    /// Of users.
    pub uids: Vec<Range>,
    /// Of groups.
    pub gids: Vec<Range>,
}

/// The id outside of what is `id` inside.
#[must_use]
pub fn outward(ranges: &[Range], id: u32) -> Option<u32> {
    let of = |range: &Range| {
        let offset = id.checked_sub(range.inside).filter(|offset| *offset < range.count)?;
        range.outside.checked_add(offset)
    };
    ranges.iter().find_map(of)
}

/// The id inside of what is `id` outside.
#[must_use]
pub fn inward(ranges: &[Range], id: u32) -> Option<u32> {
    let of = |range: &Range| {
        let offset = id.checked_sub(range.outside).filter(|offset| *offset < range.count)?;
        range.inside.checked_add(offset)
    };
    ranges.iter().find_map(of)
}

impl Map {
    /// The user and group outside that root is inside; none when root isn't mapped.
    #[must_use]
    pub fn root(&self) -> Option<(u32, u32)> {
        Some((outward(&self.uids, 0)?, outward(&self.gids, 0)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANGES: [Range; 2] =
        [Range { inside: 0, outside: 1000, count: 1 }, Range { inside: 1, outside: 100_000, count: 65_535 }];

    #[test]
    fn both_ways_lead_back() {
        for id in [0, 1, 1000, 65_535] {
            let outside = outward(&RANGES, id).unwrap();
            assert_eq!(inward(&RANGES, outside), Some(id));
        }
        assert_eq!((outward(&RANGES, 0), outward(&RANGES, 2)), (Some(1000), Some(100_001)));
        assert_eq!((outward(&RANGES, 65_536), inward(&RANGES, 0), inward(&RANGES, 1001)), (None, None, None));
    }

    #[test]
    fn a_range_is_three_numbers() {
        let read = |text: &str| Range::of_fields(text.split(':'));
        assert_eq!(read("0:1000:1"), Some(RANGES[0]));
        for text in ["", "0:1", "0:1:", "0:1:x", "0:1:-1", "0:1:1:1", "0:1:4294967296"] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }

    #[test]
    fn ranges_end_before_the_id_that_is_none() {
        let range = |inside, outside, count| Range { inside, outside, count };
        assert!(range(0, 1, u32::MAX - 1).is_sound());
        assert!(!range(0, 1, u32::MAX).is_sound() && !range(0, 0, 0).is_sound());
    }
}
