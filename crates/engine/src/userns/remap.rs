//! `--userns-remap`: whose subordinate ids containers get that say nothing of their own.

use std::path::{Path, PathBuf};

use super::map::{IdMap, IdRange, is_sound};
use super::subid::{self, SubIds};
use crate::error::{Error, Result};

/// Whose ids `default` means; they are given to it when it has none, and an account is made for it.
pub const DEFAULT_USER: &str = "dockremap";
/// Most bytes of a passwd or group file.
const MOST_BYTES: usize = sys::users::MAX_FILE;

/// Where users and their ids are written down.
#[derive(Debug, Clone)]
pub struct IdFiles {
    directory: PathBuf,
}

impl IdFiles {
    /// Those in a directory.
    #[must_use]
    pub fn of(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    fn subuid(&self) -> PathBuf {
        self.directory.join("subuid")
    }

    fn subgid(&self) -> PathBuf {
        self.directory.join("subgid")
    }

    /// The users' ids of a name, or of a number; none when there are none. It needs no account.
    ///
    /// # Errors
    /// The file can't be read.
    pub(super) fn users_of(&self, name: &str) -> Result<Vec<SubIds>> {
        owned(&self.subuid(), &self.called(name))
    }

    /// The groups' ids of a user.
    ///
    /// # Errors
    /// The file can't be read.
    pub(super) fn groups_of(&self, name: &str) -> Result<Vec<SubIds>> {
        owned(&self.subgid(), &self.called(name))
    }

    fn called(&self, name: &str) -> [String; 2] {
        self.named("passwd", "user", name).unwrap_or_else(|_no_account| [name.to_owned(), name.to_owned()])
    }

    fn lookup(&self, file: &str) -> Result<Vec<u8>> {
        let path = self.directory.join(file);
        sys::file::read_bounded(&path, MOST_BYTES)
            .map_err(|error| Error::because(format!("read {}", path.display()), error))
    }

    /// Name and number of what `text` calls, in a file whose lines are `name:password:number:…`.
    fn named(&self, file: &str, kind: &str, text: &str) -> Result<[String; 2]> {
        let bytes = self.lookup(file)?;
        let table = String::from_utf8_lossy(&bytes);
        let number = text.parse::<u32>().ok().map(|number| number.to_string());
        let fits = |line: &&str| {
            let mut fields = line.split(':');
            let (name, id) = (fields.next(), fields.nth(1));
            if number.is_some() { id == number.as_deref() } else { name == Some(text) }
        };
        let found = table.lines().find(fits).map(|line| {
            let mut fields = line.split(':').map(str::to_owned);
            [fields.next().unwrap_or_default(), fields.nth(1).unwrap_or_default()]
        });
        match (found, number) {
            (Some(found), _) => Ok(found),
            // ids may be given to a number that has no name
            (None, Some(number)) => Ok([number.clone(), number]),
            (None, None) => Err(Error::bad_parameter(format!("{kind} {text}: no such {kind}"))),
        }
    }
}

/// The mapping that `default`, `USER`, `USER:GROUP` or their numbers mean.
///
/// # Errors
/// No such user or group; it has no subordinate ids.
pub fn remap(text: &str, files: &IdFiles) -> Result<IdMap> {
    let wrong = |why: String| Error::bad_parameter(format!("userns-remap {text:?}: {why}"));
    let (user, group) = text.split_once(':').map_or((text, text), |(user, group)| (user, group));
    if user.is_empty() || group.is_empty() || group.contains(':') {
        return Err(wrong("use default, USER, USER:GROUP, UID or UID:GID".to_owned()));
    }
    let (users, groups) = if text == "default" {
        provide(files)?;
        let name = || [DEFAULT_USER.to_owned(), DEFAULT_USER.to_owned()];
        (name(), name())
    } else {
        let users = files.named("passwd", "user", user).map_err(|error| wrong(error.to_string()))?;
        let groups =
            if text.contains(':') { files.named("group", "group", group) } else { Ok(users.clone()) };
        (users, groups.map_err(|error| wrong(error.to_string()))?)
    };
    let uids = owned(&files.subuid(), &users)?;
    let gids = owned(&files.subgid(), &groups)?;
    let none = |file: &str, name: &[String; 2]| wrong(format!("No {file} ranges found for {:?}", name[0]));
    if uids.is_empty() {
        return Err(none("subuid", &users));
    }
    if gids.is_empty() {
        return Err(none("subgid", &groups));
    }
    let map = IdMap { uids: in_a_row(&uids), gids: in_a_row(&gids) };
    if is_sound(&map.uids) && is_sound(&map.gids) {
        Ok(map)
    } else {
        Err(wrong("its subordinate ids overlap, or are too many ranges".to_owned()))
    }
}

/// The subordinate users and groups of a user, one row after the other from 0 on.
///
/// # Errors
/// It has none, by `subuid` and `subgid` in this directory.
pub fn subordinate(uid: u32, directory: &Path) -> Result<IdMap> {
    let files = IdFiles::of(directory);
    let names = files.named("passwd", "user", &uid.to_string())?;
    let (uids, gids) = (owned(&files.subuid(), &names)?, owned(&files.subgid(), &names)?);
    for (ids, path) in [(&uids, files.subuid()), (&gids, files.subgid())] {
        if ids.is_empty() {
            return Err(Error::bad_parameter(format!(
                "{} has no ids for {}: add a line as in {}:100000:65536",
                path.display(),
                names[0],
                names[0]
            )));
        }
    }
    Ok(IdMap { uids: in_a_row(&uids), gids: in_a_row(&gids) })
}

fn owned(path: &Path, names: &[String; 2]) -> Result<Vec<SubIds>> {
    Ok(subid::rows(&subid::read(path)?, &names.each_ref().map(String::as_str)))
}

/// An account and ids for `default`, if it has none.
fn provide(files: &IdFiles) -> Result<()> {
    // nothing depends on the account, and a read-only /etc may have the ids
    if let Err(error) = super::account::ensure(&files.directory, DEFAULT_USER) {
        tracing::warn!(%error, "the account {DEFAULT_USER} could not be made");
    }
    for path in [files.subuid(), files.subgid()] {
        if subid::rows(&subid::read(&path)?, &[DEFAULT_USER]).is_empty() {
            subid::add(&path, DEFAULT_USER)?;
        }
    }
    Ok(())
}

/// As Docker maps several rows: the container's ids go on without a gap.
fn in_a_row(rows: &[SubIds]) -> Vec<IdRange> {
    let mut inside = 0u32;
    let mut ranges = Vec::with_capacity(rows.len());
    for row in rows {
        let Some(next) = inside.checked_add(row.count) else { break };
        ranges.push(IdRange { inside, outside: row.first, count: row.count });
        inside = next;
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> (tempfile::TempDir, IdFiles) {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        put("passwd", "root:x:0:0::/:/bin/sh\nu:x:1000:1000::/:/bin/sh\n");
        put("group", "root:x:0:\ng:x:2000:u\n");
        put("subuid", "u:200000:10\nu:100000:5\n7:900:1\n");
        put("subgid", "u:300000:10\n2000:400000:3\n7:900:1\n");
        let files = IdFiles::of(dir.path());
        (dir, files)
    }

    fn range(inside: u32, outside: u32, count: u32) -> IdRange {
        IdRange { inside, outside, count }
    }

    #[test]
    fn a_user_is_named_by_name_or_number() {
        let (_dir, files) = files();
        let of_user = remap("u", &files).unwrap();
        assert_eq!(of_user.uids, [range(0, 100_000, 5), range(5, 200_000, 10)]);
        assert_eq!(of_user.gids, [range(0, 300_000, 10)]);
        assert_eq!(remap("1000", &files).unwrap(), of_user);
        assert_eq!(remap("u:g", &files).unwrap().gids, [range(0, 400_000, 3)]);
        assert_eq!(remap("1000:2000", &files).unwrap().gids, [range(0, 400_000, 3)]);
        assert_eq!(remap("7", &files).unwrap().uids, [range(0, 900, 1)]);
        assert_eq!(of_user.root(), Some((100_000, 300_000)));
    }

    #[test]
    fn the_default_gets_ids_once() {
        let (dir, files) = files();
        let first = remap("default", &files).unwrap();
        assert_eq!(first.uids, [range(0, 200_010, 65_536)]);
        assert_eq!(first.gids, [range(0, 400_003, 65_536)]);
        assert_eq!(remap("default", &files).unwrap(), first);
        let text = std::fs::read_to_string(dir.path().join("subuid")).unwrap();
        assert!(text.ends_with("7:900:1\ndockremap:200010:65536\n"), "{text}");
        let passwd = std::fs::read_to_string(dir.path().join("passwd")).unwrap();
        assert!(passwd.ends_with("\ndockremap:x:100:100::/nonexistent:/bin/false\n"), "{passwd}");
    }

    #[test]
    fn what_is_nobody_is_told() {
        let (_dir, files) = files();
        for (text, words) in [
            ("nobody", "no such user"),
            ("u:nobody", "no such group"),
            ("root", "No subuid ranges found for \"root\""),
            ("u:root", "No subgid ranges found for \"root\""),
            (":", "use default"),
            ("u:", "use default"),
            ("u:g:x", "use default"),
        ] {
            let error = remap(text, &files).unwrap_err().to_string();
            assert!(error.contains(words) && error.contains("userns-remap"), "{text}: {error}");
        }
    }
}
