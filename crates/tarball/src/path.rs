//! Names of entries.

use crate::limits::MAX_PATH;
use crate::{Error, Result};

/// For messages: the name as far as it is text.
#[must_use]
pub fn show(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

/// The name relative to the root, without `.`, `..` and superfluous slashes; empty for the root itself.
/// An absolute name counts from the root, `a/../b` is `b`, and a name that leaves the root is refused.
///
/// # Errors
/// [`Error::Entry`].
pub fn clean(name: &[u8]) -> Result<Vec<u8>> {
    let refuse = |reason: &str| Error::Entry { name: show(name), reason: reason.into() };
    if name.contains(&0) {
        return Err(refuse("the name has a NUL byte"));
    }
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in name.split(|&b| b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop().ok_or_else(|| refuse("the name leaves the root directory"))?;
            }
            part => parts.push(part),
        }
    }
    let cleaned = parts.join(&b'/');
    if cleaned.len() > MAX_PATH {
        return Err(refuse("the name is too long"));
    }
    Ok(cleaned)
}

/// Parent and last part of a cleaned name.
#[must_use]
pub fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&b| b == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleans() {
        for (name, cleaned) in [
            ("./", ""),
            ("", ""),
            ("/", ""),
            ("/etc//passwd", "etc/passwd"),
            ("./a/./b/", "a/b"),
            ("a/../b", "b"),
            ("...", "..."),
        ] {
            assert_eq!(clean(name.as_bytes()).unwrap(), cleaned.as_bytes(), "{name}");
        }
        for name in ["..", "../x", "a/../../x", "/..", "a\0b"] {
            assert!(clean(name.as_bytes()).is_err(), "{name}");
        }
        assert!(clean("a/".repeat(3000).as_bytes()).is_err());
    }

    #[test]
    fn splits() {
        assert_eq!(split(b"a/b/c"), (&b"a/b"[..], &b"c"[..]));
        assert_eq!(split(b"c"), (&b""[..], &b"c"[..]));
    }
}
