//! What `cp` does with what it is given: Docker's rules, which are those of `cp -a`.

use super::paths;
use crate::error::{Error, Result};

/// One end of a copy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct End {
    pub(super) path: String,
    pub(super) exists: bool,
    pub(super) is_dir: bool,
    /// What is copied keeps this name, though the path was followed to another.
    pub(super) renamed: Option<String>,
}

impl End {
    /// The first part of every name in the source's archive.
    pub(super) fn name(&self) -> String {
        self.renamed.clone().unwrap_or_else(|| paths::split(&self.path).1)
    }
}

/// Where an archive is unpacked, and what the first part of its names becomes, if anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) dir: String,
    pub(super) name: Option<String>,
}

/// Decides by what the source is, and what is at the destination.
pub(super) fn plan(source: &End, destination: &End) -> Result<Plan> {
    let (parent, name) = paths::split(&destination.path);
    if destination.exists && destination.is_dir {
        return Ok(Plan { dir: destination.path.clone(), name: None });
    }
    if destination.exists && source.is_dir {
        return Err(Error::said("cannot copy directory"));
    }
    if !destination.exists && !source.is_dir && paths::asks_for_directory(&destination.path) {
        return Err(Error::said("no such directory"));
    }
    Ok(Plan { dir: parent, name: Some(name) })
}

/// `CONTAINER:PATH`, or a path here: one that is absolute or begins with a dot, whatever colons it has.
pub(super) fn split(argument: &str) -> (Option<&str>, &str) {
    if argument.starts_with('/') {
        return (None, argument);
    }
    match argument.split_once(':') {
        Some((container, path)) if !container.starts_with('.') => {
            (Some(container).filter(|container| !container.is_empty()), path)
        }
        _ => (None, argument),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(path: &str, exists: bool, is_dir: bool) -> End {
        End { path: path.into(), exists, is_dir, renamed: None }
    }

    #[test]
    fn arguments() {
        assert_eq!(split("c:/a"), (Some("c"), "/a"));
        assert_eq!(split("c:a:b"), (Some("c"), "a:b"));
        assert_eq!(split("./a:b"), (None, "./a:b"));
        assert_eq!(split("/a:b"), (None, "/a:b"));
        assert_eq!(split("a"), (None, "a"));
        assert_eq!(split("-"), (None, "-"));
    }

    #[test]
    fn the_table_of_the_documentation() {
        let (file, dir) = (end("/s/f", true, false), end("/s/d", true, true));
        let planned = |source: &End, destination: &End| {
            plan(source, destination).map(|plan| (plan.dir, plan.name)).map_err(|error| error.to_string())
        };
        let to = |dir: &str, name: &str| Ok((dir.to_owned(), Some(name.to_owned())));
        assert_eq!(planned(&file, &end("/t/new", false, false)), to("/t", "new"));
        assert_eq!(planned(&file, &end("/t/new/", false, false)), Err("no such directory".into()));
        assert_eq!(planned(&file, &end("/t/old", true, false)), to("/t", "old"));
        assert_eq!(planned(&file, &end("/t", true, true)), Ok(("/t".into(), None)));
        assert_eq!(planned(&dir, &end("/t/new", false, false)), to("/t", "new"));
        assert_eq!(planned(&dir, &end("/t/old", true, false)), Err("cannot copy directory".into()));
        assert_eq!(planned(&dir, &end("/t", true, true)), Ok(("/t".into(), None)));
    }
}
