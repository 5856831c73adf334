//! Paths inside a container, as text: they are only resolved in the container's own root.

use crate::error::{Error, Result};

/// Longest path inside, bytes (`PATH_MAX`).
const MOST: usize = 4096;

/// An absolute path.
///
/// # Errors
/// Docker's sentence.
pub(super) fn absolute(path: &str) -> Result<()> {
    if path.starts_with('/') && !path.contains('\0') && path.len() < MOST {
        return Ok(());
    }
    Err(Error::bad_parameter(format!("invalid mount path: '{path}' mount path must be absolute")))
}

/// Not `/` by any spelling.
///
/// # Errors
/// Docker's sentence.
pub(super) fn not_root(path: &str) -> Result<()> {
    if path.is_empty() || !tidy(path).is_empty() {
        return Ok(());
    }
    Err(Error::bad_parameter("invalid specification: destination can't be '/'"))
}

fn tidy(path: &str) -> Vec<&str> {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            other => parts.push(other),
        }
    }
    parts
}

/// An absolute path without `.`, `..` and doubled slashes.
///
/// # Errors
/// It is not absolute.
pub(crate) fn clean(path: &str) -> Result<String> {
    absolute(path)?;
    Ok(format!("/{}", tidy(path).join("/")))
}

/// Whether a path stays beneath where it starts, as text: relative, and never above the start.
pub(super) fn is_local(path: &str) -> bool {
    let mut depth = 0_usize;
    if path.is_empty() || path.starts_with('/') || path.contains('\0') || path.len() >= MOST {
        return false;
    }
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if depth == 0 => return false,
            ".." => depth -= 1,
            _ => depth += 1,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_and_the_root_refused() {
        assert_eq!(clean("/a//b/../c/").unwrap(), "/a/c");
        assert!(clean("a").is_err());
        assert!(not_root("/a/..").is_err() && not_root("//").is_err() && not_root(".").is_err());
        assert!(not_root("").is_ok() && not_root("a").is_ok());
    }

    #[test]
    fn a_local_path_never_goes_up() {
        assert!(is_local("a/../b") && is_local("./a"));
        assert!(!is_local("../a") && !is_local("a/../../b") && !is_local("/a") && !is_local(""));
    }
}
