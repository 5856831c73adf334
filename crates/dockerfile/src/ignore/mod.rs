//! `.dockerignore`, and the same language in `--exclude`: which paths of a context are left out.
//!
//! Patterns are those of [`crate::glob`] with `**` for any number of directories. A path is left out when the last
//! pattern that matches it, or a directory above it, does not begin with `!`. Paths are relative, with `/` between
//! names, without `.`, `..` and an outer `/`.

mod path;
mod pattern;

pub use path::clean;
use pattern::Pattern;

use crate::limits;

/// Why a `.dockerignore` is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IgnoreError {
    /// A pattern has no meaning.
    #[error("syntax error in pattern {0:?}")]
    Syntax(String),
    /// `!` and nothing after it.
    #[error("illegal exclusion pattern: \"!\"")]
    NothingExcepted,
    /// There is too much of it; what, and how much may be.
    #[error("{0} beyond the limit of {1}")]
    Limit(&'static str, usize),
}

/// Patterns in order.
#[derive(Clone, Debug, Default)]
pub struct Patterns {
    patterns: Vec<Pattern>,
    exceptions: bool,
}

/// Which patterns match a directory: spares what lies below it the question.
#[derive(Clone, Debug, Default)]
pub struct Matched(Vec<bool>);

/// The lines of a `.dockerignore` that are patterns, cleaned as Docker sends them on: comments and empty lines left
/// out, `.` and `..` resolved, without a `/` in front. A byte order mark is passed over.
pub fn lines(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut patterns = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let line = line.trim();
        let (exception, pattern) = match line.strip_prefix('!') {
            Some(rest) => ("!", rest.trim()),
            None => ("", line),
        };
        if line.is_empty() {
            continue;
        }
        let mut pattern = if pattern.is_empty() { String::new() } else { clean(pattern) };
        if pattern.len() > 1 && pattern.starts_with('/') {
            pattern.remove(0);
        }
        patterns.push(format!("{exception}{pattern}"));
    }
    patterns
}

impl Patterns {
    /// Reads a `.dockerignore`.
    ///
    /// # Errors
    /// A pattern that has no meaning; limits.
    pub fn parse(bytes: &[u8]) -> Result<Self, IgnoreError> {
        if bytes.len() > limits::IGNORE_FILE {
            return Err(IgnoreError::Limit("bytes of a .dockerignore", limits::IGNORE_FILE));
        }
        Self::new(lines(bytes))
    }

    /// Takes patterns one by one: those of [`lines`], or of `--exclude`.
    ///
    /// # Errors
    /// As [`Patterns::parse`].
    pub fn new<T: AsRef<str>>(patterns: impl IntoIterator<Item = T>) -> Result<Self, IgnoreError> {
        let mut result = Self::default();
        for pattern in patterns {
            let text = pattern.as_ref().trim();
            if text.is_empty() {
                continue;
            }
            if text.len() > limits::PATTERN {
                return Err(IgnoreError::Limit("bytes of a pattern", limits::PATTERN));
            }
            if result.patterns.len() == limits::PATTERNS {
                return Err(IgnoreError::Limit("patterns", limits::PATTERNS));
            }
            let pattern = Pattern::parse(&clean(text))?;
            result.exceptions |= pattern.exception;
            result.patterns.push(pattern);
        }
        Ok(result)
    }

    /// There is nothing to leave out.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Is `path` left out, by itself or with a directory above it?
    pub fn matches(&self, path: &str) -> bool {
        let mut matched = false;
        for pattern in &self.patterns {
            // a pattern is asked only when its answer would change something
            if pattern.exception == matched && pattern.matches_or_parent(path) {
                matched = !pattern.exception;
            }
        }
        matched
    }

    /// As [`Patterns::matches`], for who walks a tree: `above` is what came of the directory that `path` is in, nothing
    /// for the root. What comes back with the answer is for what lies in `path`.
    pub fn matches_in(&self, path: &str, above: Option<&Matched>) -> (bool, Matched) {
        let mut matched = false;
        let mut here = Vec::with_capacity(self.patterns.len());
        for (index, pattern) in self.patterns.iter().enumerate() {
            let inherited = above.and_then(|above| above.0.get(index)).copied().unwrap_or(false);
            let matches = inherited || pattern.exception == matched && pattern.matches(path);
            here.push(matches);
            if matches {
                matched = !pattern.exception;
            }
        }
        (matched, Matched(here))
    }

    /// May anything below a directory that is left out be taken all the same? If not, nobody need look into it.
    pub fn may_include_below(&self, directory: &str) -> bool {
        if !self.exceptions {
            return false;
        }
        let below = format!("{directory}/");
        self.patterns.iter().any(|pattern| pattern.exception && pattern.may_match_below(&below))
    }
}

/// The ignore file of a Dockerfile by its own name; where it exists, `.dockerignore` is not looked at.
pub fn own_file(dockerfile: &str) -> String {
    format!("{dockerfile}.dockerignore")
}

#[cfg(test)]
mod tests;
