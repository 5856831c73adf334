//! A security context as text, `user:role:type` with an optional `:level`. Pure.

use std::fmt;
use std::str::FromStr;

/// Longest context.
const MOST: usize = 1024;

/// A security context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// SELinux's user.
    pub user: String,
    /// Role; of files `object_r`.
    pub role: String,
    /// Type, of processes called a domain.
    pub kind: String,
    /// Sensitivities and categories, `s0`, `s0:c1,c2` or `s0-s0:c0.c1023`; `None` where the policy has no levels.
    pub level: Option<String>,
}

/// A text is no context.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no SELinux context: must be USER:ROLE:TYPE[:LEVEL]")]
pub struct Wrong(String);

impl Context {
    /// The same with another level, if it has one at all.
    #[must_use]
    pub fn at(&self, level: &str) -> Self {
        Self { level: self.level.as_ref().map(|_| level.to_owned()), ..self.clone() }
    }
}

impl FromStr for Context {
    type Err = Wrong;

    fn from_str(text: &str) -> Result<Self, Wrong> {
        let wrong = || Wrong(text.chars().take(MOST).collect());
        let mut fields = text.splitn(4, ':');
        let mut name = || fields.next().filter(|name| is_name(name)).map(str::to_owned).ok_or_else(wrong);
        let (user, role, kind) = (name()?, name()?, name()?);
        let level = fields.next().map(str::to_owned);
        if text.len() > MOST || level.as_deref().is_some_and(|level| !is_level(level)) {
            return Err(wrong());
        }
        Ok(Self { user, role, kind, level })
    }
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.user, self.role, self.kind)?;
        self.level.as_ref().map_or(Ok(()), |level| write!(f, ":{level}"))
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

/// A level, or two with a hyphen between: the lowest and the highest.
fn is_level(text: &str) -> bool {
    let mut ends = text.split('-');
    ends.by_ref().take(2).all(is_single_level) && ends.next().is_none()
}

/// `s0`, or `s0:` and categories; a policy may have its own words for both.
fn is_single_level(text: &str) -> bool {
    let word = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    match text.split_once(':') {
        None => word(text),
        Some((sensitivity, categories)) => {
            let range = |part: &str| {
                let mut ends = part.split('.');
                ends.by_ref().take(2).all(word) && ends.next().is_none()
            };
            word(sensitivity) && categories.split(',').all(range)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_are_read_and_written_alike() {
        for text in [
            "system_u:system_r:container_t:s0:c1,c2",
            "system_u:object_r:container_file_t:s0",
            "u:r:t",
            "unconfined_u:unconfined_r:unconfined_t:s0-s0:c0.c1023",
            "a:b:c:s0:c1.c5,c9-s1:c0.c9,c12",
            "a:b:c:SystemLow",
        ] {
            assert_eq!(text.parse::<Context>().unwrap().to_string(), text);
        }
        let context: Context = "system_u:system_r:container_t:s0:c1,c2".parse().unwrap();
        assert_eq!((context.kind.as_str(), context.level.as_deref()), ("container_t", Some("s0:c1,c2")));
        assert_eq!(context.at("s0").to_string(), "system_u:system_r:container_t:s0");
        assert_eq!("u:r:t".parse::<Context>().unwrap().at("s0:c1,c2").to_string(), "u:r:t");
    }

    #[test]
    fn what_is_none_is_refused() {
        let long = format!("a:b:{}", "c".repeat(MOST));
        for text in [
            "",
            "a",
            "a:b",
            "a:b:",
            "::",
            "a::c",
            "a:b:c:",
            "a:b:c:s0:",
            "a:b:c:s0:c1,",
            "a:b:c:s0:c1.c2.c3",
            "a:b:c:s0-s0-s0",
            "a:b:c:s0:c1:c2",
            "a:b:c\n",
            "a:b:c d",
            "a:b:c:s0,c\0",
            "a:b:c\"",
            &long,
        ] {
            assert!(text.parse::<Context>().is_err(), "{text:?}");
        }
    }
}
