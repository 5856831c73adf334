//! The systemd driver: systemd makes a scope unit, asked over the system bus.

use super::{CgroupPath, Error, Result};

/// A scope to be made, from the `slice:prefix:name` form of `cgroupsPath`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// The slice that the scope is in (`system.slice`).
    pub slice: String,
    /// The scope's name (`docker-0123.scope`), or a slice's.
    pub name: String,
}

impl Unit {
    /// Reads `slice:prefix:name`. An empty slice is `system.slice`; an empty prefix adds nothing; a name that
    /// ends in `.slice` is a slice itself.
    ///
    /// # Errors
    /// [`Error::Path`].
    pub fn parse(text: &str) -> Result<Self> {
        let fail = |reason| Error::Path { path: text.chars().take(255).collect(), reason };
        let mut parts = text.split(':');
        let (Some(slice), Some(prefix), Some(name), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(fail("must have the form slice:prefix:name for the systemd driver"));
        };
        if name.is_empty() || name.contains('/') || prefix.contains('/') {
            return Err(fail("must have a plain name after the second colon"));
        }
        let slice = if slice.is_empty() { "system.slice" } else { slice };
        slice_path(slice)
            .ok_or_else(|| fail("must have a slice that ends in .slice before the first colon"))?;
        let name = match prefix {
            _ if name.ends_with(".slice") => name.to_owned(),
            "" => format!("{name}.scope"),
            prefix => format!("{prefix}-{name}.scope"),
        };
        Ok(Self { slice: slice.to_owned(), name })
    }

    /// Where systemd puts the unit's cgroup: dashes in a slice's name are levels.
    ///
    /// # Errors
    /// [`Error::Path`] for a slice that isn't one.
    pub fn path(&self) -> Result<CgroupPath> {
        let slice = slice_path(&self.slice)
            .ok_or_else(|| Error::Path { path: self.slice.clone(), reason: "is not a slice's name" })?;
        CgroupPath::new(&format!("{slice}/{}", self.name))
    }
}

/// `a-b.slice` as `/a.slice/a-b.slice`; `-.slice` is the root.
fn slice_path(slice: &str) -> Option<String> {
    let stem = slice.strip_suffix(".slice")?;
    if stem == "-" {
        return Some(String::new());
    }
    if stem.is_empty() || stem.contains('/') || stem.split('-').any(str::is_empty) {
        return None;
    }
    let ends = stem.match_indices('-').map(|(at, _)| at).chain([stem.len()]);
    Some(ends.map(|end| format!("/{}.slice", &stem[..end])).collect())
}

/// A scope that systemd has made.
#[derive(Debug)]
pub struct Scope {
    path: CgroupPath,
}

impl Scope {
    /// Asks systemd for the scope.
    ///
    /// # Errors
    /// [`Error::Systemd`].
    pub(super) fn start(unit: &Unit) -> Result<Self> {
        let path = unit.path()?;
        Err(Error::Systemd(format!("{path}: under construction")))
    }

    pub(super) fn path(&self) -> &CgroupPath {
        &self.path
    }

    pub(super) fn stop(&self) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units() {
        let unit = Unit::parse("system.slice:docker:0123").unwrap();
        assert_eq!(unit.path().unwrap().as_str(), "/system.slice/docker-0123.scope");
        let unit = Unit::parse("user-1000-a.slice::x").unwrap();
        assert_eq!(unit.path().unwrap().as_str(), "/user.slice/user-1000.slice/user-1000-a.slice/x.scope");
        assert_eq!(Unit::parse(":berth:x").unwrap().path().unwrap().as_str(), "/system.slice/berth-x.scope");
        assert_eq!(Unit::parse("-.slice:b:x").unwrap().path().unwrap().as_str(), "/b-x.scope");
        for bad in [
            "",
            "a:b",
            "a.slice:b:",
            "a:b:c",
            "a--b.slice:p:n",
            "a.slice:p:n/m",
            "a.slice:p:n:o",
            "/a.slice:p:n",
        ] {
            assert!(Unit::parse(bad).is_err(), "{bad}");
        }
    }
}
