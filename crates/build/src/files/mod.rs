//! Changes of trees by descriptor: copies, files, directories, links, removals; and digests of what a copy would take.
//!
//! A tree is a [`Root`]: whatever links, `..` and renames say, nothing is reached outside of it. Paths are resolved by
//! the kernel down to a directory; below that, every step is one name that is never followed.

mod attributes;
mod copy;
mod digest;
mod make;
mod mode;
mod queue;
mod select;
mod walk;

use std::io::Read;

use sys::path::Root;

use crate::graph::{Chown, FileInput, Owner};
use crate::{Error, Result};

pub use copy::copy;
pub use digest::{digest_copy, digest_path};
pub use make::{make_dir, make_file, remove, symlink};
pub(crate) use select::clean;

/// User and group of what is made.
pub type Ids = (u32, u32);

/// Gives the bytes of an archive without their compression; they may be of no archive at all.
pub type Decompress<'a> = &'a dyn Fn(Box<dyn Read + Send>) -> std::io::Result<Box<dyn Read>>;

/// Whose something becomes, with names looked up in the tree that is changed, or in the one that `tree` gives.
///
/// # Errors
/// A name is not known there.
pub fn ids<'a>(
    chown: &Chown,
    changed: &'a Root,
    tree: &dyn Fn(FileInput) -> Option<&'a Root>,
) -> Result<Ids> {
    let within = |owner: &Option<Owner>| match owner {
        Some(Owner::Name { input: Some(input), .. }) => tree(*input).unwrap_or(changed),
        _ => changed,
    };
    let text = |owner: &Option<Owner>| match owner {
        Some(Owner::Id(id)) => id.to_string(),
        Some(Owner::Name { name, .. }) => name.clone(),
        None => String::new(),
    };
    let (user, group) = (text(&chown.user), text(&chown.group));
    let (users, groups) =
        (read(within(&chown.user), "/etc/passwd")?, read(within(&chown.group), "/etc/group")?);
    let spec = if group.is_empty() { user.clone() } else { format!("{user}:{group}") };
    let found = sys::users::resolve(&spec, &users, &groups).map_err(|error| {
        Error::Invalid(format!("unable to convert uid/gid chown string to host mapping: {error}"))
    })?;
    // a number alone is both, as in Docker
    let gid = match (&chown.user, &chown.group) {
        (Some(Owner::Id(id)), None) => *id,
        _ => found.gid,
    };
    Ok((found.uid, gid))
}

fn read(root: &Root, path: &str) -> Result<Vec<u8>> {
    match root.read_bounded(path, sys::users::MAX_FILE) {
        Err(error)
            if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) =>
        {
            Ok(Vec::new())
        }
        other => other.map_err(|error| Error::because(format!("read {path}"), error)),
    }
}

#[cfg(test)]
mod tests;
