//! Patterns of `${name#pattern}`, `${name%pattern}` and `${name/pattern/text}`: `*` and `?` (POSIX shell, 2.13),
//! without bracket expressions, as Docker has them.

/// `None` is any character.
type Segment = Vec<Option<char>>;

/// Runs of characters with anything between them; one more than there are stars.
pub(super) struct Pattern(Vec<Segment>);

/// How much a pattern takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Take {
    /// As little as possible (`#`, `%`).
    Shortest,
    /// As much as possible (`##`, `%%`, `/`).
    Longest,
}

impl Pattern {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut segments = vec![Segment::new()];
        let mut characters = text.chars().peekable();
        while let Some(character) = characters.next() {
            let literal = match character {
                '*' => {
                    segments.push(Segment::new());
                    continue;
                }
                '?' => None,
                // what would end the pattern is escaped for that alone
                '\\' if matches!(characters.peek(), Some('}' | '/')) => continue,
                '\\' => match characters.next() {
                    Some(special @ ('*' | '?' | '\\')) => Some(special),
                    Some(other) => return Err(format!("invalid escape '\\{other}'")),
                    None => return Err("invalid escape at the end".to_owned()),
                },
                other => Some(other),
            };
            if let Some(last) = segments.last_mut() {
                last.push(literal);
            }
        }
        Ok(Self(segments))
    }

    /// `value` without the beginning that the pattern takes.
    pub(super) fn trim_prefix(&self, value: &str, take: Take) -> String {
        let value: Vec<char> = value.chars().collect();
        let end = self.at(&value, 0, take).unwrap_or(0);
        value[end..].iter().collect()
    }

    /// `value` without the end that the pattern takes.
    pub(super) fn trim_suffix(&self, value: &str, take: Take) -> String {
        let value: Vec<char> = value.chars().rev().collect();
        let mirrored = self.0.iter().rev().map(|segment| segment.iter().rev().copied().collect()).collect();
        let end = Self(mirrored).at(&value, 0, take).unwrap_or(0);
        value[end..].iter().rev().collect()
    }

    /// `value` with the first, or every, longest match replaced.
    pub(super) fn replace(&self, value: &str, by: &str, all: bool) -> String {
        let value: Vec<char> = value.chars().collect();
        let mut result = String::with_capacity(value.len());
        let (mut at, mut replaced_until) = (0, None);
        while at <= value.len() {
            let found = self.at(&value, at, Take::Longest);
            match found {
                // nothing is found right behind what was replaced
                Some(end) if end > at || replaced_until != Some(at) => {
                    result.push_str(by);
                    if end == at {
                        result.extend(value.get(at));
                    }
                    at = end.max(at + 1);
                    replaced_until = Some(end);
                    if !all {
                        break;
                    }
                }
                // what comes after the first star is nowhere from here on
                None if self.first_fits(&value, at) => break,
                _ => {
                    result.extend(value.get(at));
                    at += 1;
                }
            }
        }
        result.extend(value.get(at..).unwrap_or_default());
        result
    }

    fn first_fits(&self, value: &[char], at: usize) -> bool {
        self.0.first().is_some_and(|first| fits(first, value, at))
    }

    /// The end of a match that begins at `start`.
    fn at(&self, value: &[char], start: usize, take: Take) -> Option<usize> {
        let (first, rest) = self.0.split_first()?;
        if !fits(first, value, start) {
            return None;
        }
        let mut at = start + first.len();
        for (index, segment) in rest.iter().enumerate() {
            let last = index + 1 == rest.len();
            let places = at..=value.len().checked_sub(segment.len())?;
            let place = if last && take == Take::Longest {
                places.rev().find(|place| fits(segment, value, *place))?
            } else {
                places.into_iter().find(|place| fits(segment, value, *place))?
            };
            at = place + segment.len();
        }
        Some(at)
    }
}

fn fits(segment: &[Option<char>], value: &[char], at: usize) -> bool {
    value.get(at..at + segment.len()).is_some_and(|part| {
        part.iter().zip(segment).all(|(have, want)| want.is_none_or(|want| want == *have))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text).unwrap()
    }

    #[test]
    fn ends_are_taken_off() {
        let value = "foo.tar.gz";
        assert_eq!(pattern("*.").trim_prefix(value, Take::Shortest), "tar.gz");
        assert_eq!(pattern("*.").trim_prefix(value, Take::Longest), "gz");
        assert_eq!(pattern(".*").trim_suffix(value, Take::Shortest), "foo.tar");
        assert_eq!(pattern(".*").trim_suffix(value, Take::Longest), "foo");
        assert_eq!(pattern("?oo").trim_prefix(value, Take::Shortest), ".tar.gz");
        assert_eq!(pattern("bar").trim_prefix(value, Take::Longest), value);
        assert_eq!(pattern("*").trim_suffix(value, Take::Longest), "");
        assert_eq!(pattern("\\*x").trim_prefix("*xy", Take::Longest), "y");
    }

    #[test]
    fn matches_are_replaced() {
        assert_eq!(pattern("a").replace("banana", "o", false), "bonana");
        assert_eq!(pattern("a").replace("banana", "o", true), "bonono");
        assert_eq!(pattern("n*n").replace("banana", "-", true), "ba-a");
        assert_eq!(pattern("*x").replace("aaaa", "-", true), "aaaa");
        assert_eq!(pattern("").replace("ab", "-", true), "-a-b-");
        assert_eq!(pattern("*").replace("ab", "-", true), "-");
        assert_eq!(pattern("\\/").replace("a/b", "-", true), "a-b");
        assert!(Pattern::parse("\\a").is_err() && Pattern::parse("\\").is_err());
    }
}
