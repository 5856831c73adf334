//! The place of a cgroup below a hierarchy's root.

use std::fmt;
use std::str::FromStr;

use super::{Error, Result};

/// Longest path of a cgroup (`PATH_MAX` less room for a mount point and a file name).
const PATH_MAX: usize = 3072;
/// Longest single name (`NAME_MAX`).
const NAME_MAX: usize = 255;

/// A validated path of a cgroup: absolute, relative to the root of each hierarchy, no `.`, `..` or
/// empty name, never the root itself.
///
/// ```
/// # use sys::cgroup::CgroupPath;
/// let path: CgroupPath = "/berth/0123".parse().unwrap();
/// assert_eq!(path.as_str(), "/berth/0123");
/// assert!("/berth/../..".parse::<CgroupPath>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CgroupPath(String);

impl CgroupPath {
    /// Checks `path`. A relative path is taken below the root, as `runc` does with `cgroupsPath`;
    /// repeated and trailing slashes are dropped.
    ///
    /// # Errors
    /// [`Error::Path`] for the root, `.` or `..`, control characters, and over-long names.
    pub fn new(path: &str) -> Result<Self> {
        let fail = |reason| Error::Path { path: path.chars().take(NAME_MAX).collect(), reason };
        if path.len() > PATH_MAX {
            return Err(fail("is too long"));
        }
        let mut clean = String::with_capacity(path.len() + 1);
        for name in path.split('/').filter(|name| !name.is_empty()) {
            check_name(name).map_err(fail)?;
            clean.push('/');
            clean.push_str(name);
        }
        if clean.is_empty() {
            return Err(fail("names the root, which belongs to the host"));
        }
        Ok(Self(clean))
    }

    /// The path with its leading slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path without its leading slash, for `openat` below a mount point.
    #[must_use]
    pub fn relative(&self) -> &str {
        &self.0[1..]
    }

    /// The last name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// The path one level up, unless that is the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let end = self.0.rfind('/').filter(|&end| end > 0)?;
        Some(Self(self.0[..end].to_owned()))
    }

    /// The path of `name` below this one.
    ///
    /// # Errors
    /// [`Error::Path`] when `name` is not one plain name.
    pub fn join(&self, name: &str) -> Result<Self> {
        if name.contains('/') {
            return Err(Error::Path { path: name.to_owned(), reason: "is not a single name" });
        }
        Self::new(&format!("{}/{name}", self.0))
    }

    /// This path and those above it, the shortest first.
    pub(crate) fn levels(&self) -> impl Iterator<Item = &str> {
        let ends = self.0.match_indices('/').map(|(at, _)| at).skip(1).chain([self.0.len()]);
        ends.map(|end| &self.0[1..end])
    }
}

fn check_name(name: &str) -> std::result::Result<(), &'static str> {
    if name == "." || name == ".." {
        return Err("must not contain . or ..");
    }
    if name.len() > NAME_MAX {
        return Err("has a name of more than 255 bytes");
    }
    if name.chars().any(char::is_control) {
        return Err("must not contain control characters");
    }
    Ok(())
}

impl FromStr for CgroupPath {
    type Err = Error;

    fn from_str(path: &str) -> Result<Self> {
        Self::new(path)
    }
}

impl fmt::Display for CgroupPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_forms() {
        for (given, want) in
            [("/a/b", "/a/b"), ("a//b/", "/a/b"), ("///x", "/x"), ("s.slice/a:b", "/s.slice/a:b")]
        {
            assert_eq!(CgroupPath::new(given).unwrap().as_str(), want);
        }
    }

    #[test]
    fn refuses_escapes_and_the_root() {
        let long = "x".repeat(256);
        for bad in ["", "/", "//", "/a/../b", "..", "/a/.", "/a/b\n", "/a/\0", long.as_str()] {
            assert!(CgroupPath::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn parts() {
        let path = CgroupPath::new("/a/b/c").unwrap();
        assert_eq!(path.name(), "c");
        assert_eq!(path.parent().unwrap().as_str(), "/a/b");
        assert_eq!(CgroupPath::new("/a").unwrap().parent(), None);
        assert_eq!(path.levels().collect::<Vec<_>>(), ["a", "a/b", "a/b/c"]);
        assert!(path.join("x/y").is_err());
        assert!(path.join("..").is_err());
    }
}
