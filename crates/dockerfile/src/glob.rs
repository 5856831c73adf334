//! Wildcards as Go's `filepath.Match` takes them: in sources of `COPY` and `ADD`, and below `.dockerignore`'s `**`.
//!
//! `*` and `?` match anything but `/`; `[a-z]` and `[^a-z]` one character; `\` takes the next one as it is.

/// A pattern that is none: a class that does not end or is empty, or `\` at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("syntax error in pattern")]
pub struct BadPattern;

/// Does `pattern` match all of `name`?
///
/// # Errors
/// The pattern is none.
pub fn matches(pattern: &str, name: &str) -> Result<bool, BadPattern> {
    Ok(Machine(parse(pattern)?).run(name).accepts())
}

/// Does the text have anything that is not taken as it is?
pub fn has_wildcard(text: &str) -> bool {
    text.contains(['*', '?', '[', '\\'])
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    Literal(char),
    /// `?`
    Any,
    /// `*`
    Star,
    /// `[…]`
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
    /// `**/`: nothing, or whatever ends in `/`.
    Directories,
    /// `**` at the end: whatever comes.
    Rest,
}

/// The tokens of a pattern without `**`.
pub(crate) fn parse(pattern: &str) -> Result<Vec<Token>, BadPattern> {
    let mut tokens = Vec::new();
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        tokens.push(match character {
            '*' => Token::Star,
            '?' => Token::Any,
            '[' => class(&mut characters)?,
            '\\' => Token::Literal(characters.next().ok_or(BadPattern)?),
            other => Token::Literal(other),
        });
    }
    Ok(tokens)
}

/// What follows `[`.
pub(crate) fn class(characters: &mut std::str::Chars<'_>) -> Result<Token, BadPattern> {
    let mut ranges = Vec::new();
    let negated = characters.as_str().starts_with('^');
    if negated {
        characters.next();
    }
    loop {
        let low = match characters.next().ok_or(BadPattern)? {
            ']' if !ranges.is_empty() => return Ok(Token::Class { negated, ranges }),
            ']' | '-' => return Err(BadPattern),
            '\\' => characters.next().ok_or(BadPattern)?,
            other => other,
        };
        let mut high = low;
        if characters.as_str().starts_with('-') {
            characters.next();
            high = match characters.next().ok_or(BadPattern)? {
                ']' | '-' => return Err(BadPattern),
                '\\' => characters.next().ok_or(BadPattern)?,
                other => other,
            };
        }
        ranges.push((low, high));
    }
}

/// Tokens that are matched in time proportional to pattern and text: all ways at once, none tried twice.
#[derive(Clone, Debug)]
pub(crate) struct Machine(pub(crate) Vec<Token>);

/// Which tokens may come next. `states[n]` stands for all `n` tokens matched; the second set is of those inside
/// `**/`, of which a `/` has not come yet.
pub(crate) struct Progress {
    states: Vec<bool>,
    inside: Vec<bool>,
}

impl Progress {
    /// Is all of the pattern matched?
    pub(crate) fn accepts(&self) -> bool {
        self.states.last().copied().unwrap_or(false)
    }

    /// May more text lead to a match?
    pub(crate) fn alive(&self) -> bool {
        let (_, before_end) = self.states.split_last().unwrap_or((&false, &[]));
        before_end.contains(&true) || self.inside.contains(&true)
    }
}

impl Machine {
    pub(crate) fn run(&self, text: &str) -> Progress {
        let size = self.0.len() + 1;
        let mut progress = Progress { states: vec![false; size], inside: vec![false; size] };
        progress.states[0] = true;
        self.close(&mut progress);
        for character in text.chars() {
            progress = self.step(&progress, character);
            if !progress.accepts() && !progress.alive() {
                break;
            }
        }
        progress
    }

    /// Tokens that may match nothing are passed.
    fn close(&self, progress: &mut Progress) {
        for (index, token) in self.0.iter().enumerate() {
            if progress.states[index] && matches!(token, Token::Star | Token::Directories | Token::Rest) {
                progress.states[index + 1] = true;
            }
        }
    }

    fn step(&self, before: &Progress, character: char) -> Progress {
        let size = self.0.len() + 1;
        let mut after = Progress { states: vec![false; size], inside: vec![false; size] };
        for (index, token) in self.0.iter().enumerate() {
            if before.inside[index] {
                after.inside[index] = true;
                after.states[index + 1] |= character == '/';
            }
            if !before.states[index] {
                continue;
            }
            match token {
                Token::Literal(wanted) => after.states[index + 1] |= *wanted == character,
                Token::Any => after.states[index + 1] |= character != '/',
                Token::Star => after.states[index] |= character != '/',
                Token::Rest => after.states[index] = true,
                Token::Class { negated, ranges } => {
                    let within = ranges.iter().any(|(low, high)| (*low..=*high).contains(&character));
                    after.states[index + 1] |= within != *negated;
                }
                Token::Directories => {
                    after.inside[index] = true;
                    after.states[index + 1] |= character == '/';
                }
            }
        }
        self.close(&mut after);
        after
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_go_matches() {
        for (pattern, name, expected) in [
            ("abc", "abc", true),
            ("*", "abc", true),
            ("*c", "abc", true),
            ("a*", "a", true),
            ("a*", "ab/c", false),
            ("a*/b", "abc/b", true),
            ("a*/b", "a/c/b", false),
            ("a*b*c*d*e*/f", "axbxcxdxe/f", true),
            ("a*b?c*x", "abxbbxdbxebxczzx", true),
            ("a*b?c*x", "abxbbxdbxebxczzy", false),
            ("ab[c]", "abc", true),
            ("ab[b-d]", "abc", true),
            ("ab[e-g]", "abc", false),
            ("ab[^c]", "abc", false),
            ("ab[^e-g]", "abc", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "ab", false),
            ("a?b", "a☺b", true),
            ("a[^a]b", "a☺b", true),
            ("a???b", "a☺b", false),
            ("[a-ζ]*", "α", true),
            ("*[a-ζ]", "A", false),
            ("a?b", "a/b", false),
            ("[\\]a]", "]", true),
            ("[\\-x]", "-", true),
            ("*x", "xxx", true),
        ] {
            assert_eq!(matches(pattern, name), Ok(expected), "{pattern} {name}");
        }
        for wrong in ["[", "[]a]", "[-]", "[x-]", "[-x]", "[a-b-c]", "[", "[^", "[^bc", "a[", "\\", "[a"] {
            assert_eq!(matches(wrong, "a"), Err(BadPattern), "{wrong}");
        }
    }

    #[test]
    fn hostile_patterns_take_no_time() {
        let pattern = "a*".repeat(2000) + "b";
        assert_eq!(matches(&pattern, &"a".repeat(4000)), Ok(false));
    }
}
