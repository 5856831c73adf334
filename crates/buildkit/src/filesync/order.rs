//! Which paths may come, and in which order.

use std::cmp::Ordering;

use super::{Error, MAX_PATH, Result};

/// Checks that a path is relative, clean and not too long.
pub(super) fn check(path: &str) -> Result<()> {
    let refuse = |why: &str| {
        let shown: String = path.chars().take(200).collect();
        Err(Error::protocol(format!("path {shown:?} {why}")))
    };
    if path.is_empty() {
        return refuse("is empty");
    }
    if path.len() > MAX_PATH {
        return refuse("is too long");
    }
    if path.contains('\0') {
        return refuse("has a NUL byte");
    }
    if path.starts_with('/') {
        return refuse("is absolute");
    }
    if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return refuse("has a part that is empty, \".\" or \"..\"");
    }
    if path.split('/').any(|part| part.len() > 255) {
        return refuse("has a part of more than 255 bytes");
    }
    Ok(())
}

/// The order of a walk: a directory before what is in it, and all of that before the next name.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    a.split('/').map(str::as_bytes).cmp(b.split('/').map(str::as_bytes))
}

/// The path of the directory that a path lies in; empty for the root.
pub(super) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// A path's last part.
pub(super) fn name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_clean_paths_below_the_root() {
        for good in ["a", "a/b", ".a", "..a", "a..", "a/...", "ä/ b"] {
            assert!(check(good).is_ok(), "{good}");
        }
        let long = format!("{}a", "a/".repeat(MAX_PATH));
        let wide = "x".repeat(256);
        for bad in ["", "/a", "a/", "a//b", ".", "..", "a/..", "../a", "a/./b", "a\0", &long, &wide] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_directory_comes_with_what_is_in_it_before_the_next_name() {
        for pair in ["a", "a/b", "a/b/c", "a/c", "a-b", "b"].windows(2) {
            assert_eq!(compare(pair[0], pair[1]), Ordering::Less, "{pair:?}");
        }
    }
}
