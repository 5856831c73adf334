//! The account that Docker makes for `--userns-remap=default`: a system user and group that nobody can log in as. No
//! process runs as it; those who look up whose ids they see find a name.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Gid, Mode, Uid, XattrFlags};

use crate::error::{Error, Result};

/// Ids of system users and groups (Debian's `adduser.conf`).
const SYSTEM: std::ops::RangeInclusive<u32> = 100..=999;
const SECONDS_A_DAY: i64 = 86_400;

/// Makes the account in the tables of a directory, unless there is one.
///
/// # Errors
/// A table can't be read or written; the system's ids are used up.
pub(super) fn ensure(directory: &Path, name: &str) -> Result<()> {
    let tables = Tables(directory);
    if has(&tables.read("passwd")?, name) {
        return Ok(());
    }
    let _lock = tables.lock()?;
    let (passwd, group) = (tables.read("passwd")?, tables.read("group")?);
    if has(&passwd, name) {
        return Ok(());
    }
    // the group first: whoever is killed between finds it the next time
    let gid = match group.lines().find(|line| named(line) == name) {
        Some(line) => line.split(':').nth(2).unwrap_or_default().to_owned(),
        None => free(&group, name)?.to_string(),
    };
    if !has(&group, name) {
        tables.add("group", &group, &format!("{name}:x:{gid}:"))?;
    }
    let days = jiff::Timestamp::now().as_second() / SECONDS_A_DAY;
    for (table, line) in [("gshadow", format!("{name}:!::")), ("shadow", format!("{name}:!:{days}::::::"))] {
        let text = tables.read(table)?;
        if !text.is_empty() && !has(&text, name) {
            tables.add(table, &text, &line)?;
        }
    }
    let uid = free(&passwd, name)?;
    tables.add("passwd", &passwd, &format!("{name}:x:{uid}:{gid}::/nonexistent:/bin/false"))
}

fn named(line: &str) -> &str {
    line.split(':').next().unwrap_or_default()
}

fn has(table: &str, name: &str) -> bool {
    table.lines().any(|line| named(line) == name)
}

/// The lowest id of the system's that no line has in its third field.
fn free(table: &str, name: &str) -> Result<u32> {
    let taken: Vec<u32> = table.lines().filter_map(|line| line.split(':').nth(2)?.parse().ok()).collect();
    let free = SYSTEM.into_iter().find(|id| !taken.contains(id));
    free.ok_or_else(|| Error::system(format!("no system id is left for {name}")))
}

/// A directory's tables of users and groups.
struct Tables<'a>(&'a Path);

impl Tables<'_> {
    fn path(&self, table: &str) -> PathBuf {
        self.0.join(table)
    }

    /// Keeps others from changing them, as `lckpwdf(3)`.
    fn lock(&self) -> Result<File> {
        let path = self.path(".pwd.lock");
        let failed = |error: std::io::Error| Error::because(format!("lock {}", path.display()), error);
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = file.map_err(failed)?;
        let locked = rustix::fs::fcntl_lock(&file, FlockOperation::LockExclusive);
        locked.map(|()| file).map_err(|errno| failed(errno.into()))
    }

    fn read(&self, table: &str) -> Result<String> {
        let path = self.path(table);
        match sys::file::read_bounded(&path, sys::users::MAX_FILE) {
            Ok(bytes) => String::from_utf8(bytes)
                .map_err(|error| Error::because(format!("read {}", path.display()), error)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
            Err(error) => Err(Error::because(format!("read {}", path.display()), error)),
        }
    }

    /// Replaces a table by one with a line more; owner, mode and label stay.
    fn add(&self, table: &str, text: &str, line: &str) -> Result<()> {
        let gap = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        let written = self.replace(table, &format!("{text}{gap}{line}\n"));
        written.map_err(|error| Error::because(format!("write {}", self.path(table).display()), error))
    }

    fn replace(&self, table: &str, text: &str) -> std::io::Result<()> {
        const LABEL: &str = "security.selinux";
        let (path, new) = (self.path(table), self.path(&format!("{table}.berth-new")));
        let old = File::open(&path)?;
        match std::fs::remove_file(&new) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(text.as_bytes())?;
        let meta = old.metadata()?;
        let (uid, gid) = (Uid::from_raw(meta.uid()), Gid::from_raw(meta.gid()));
        rustix::fs::fchown(file.as_fd(), Some(uid), Some(gid))?;
        rustix::fs::fchmod(file.as_fd(), Mode::from_raw_mode(meta.mode() & 0o7777))?;
        let mut label = [0u8; 4096];
        if let Ok(length) = rustix::fs::fgetxattr(&old, LABEL, &mut label[..]) {
            rustix::fs::fsetxattr(&file, LABEL, &label[..length], XattrFlags::empty())?;
        }
        file.sync_all()?;
        std::fs::rename(&new, &path)?;
        sys::file::open_directory(self.0).and_then(|directory| Ok(rustix::fs::fsync(directory)?))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_account_is_dockers_and_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let text = |name: &str| std::fs::read_to_string(at(name)).unwrap();
        std::fs::write(at("passwd"), "root:x:0:0::/:/bin/sh\na:x:100:5::/:/bin/sh").unwrap();
        std::fs::write(at("group"), "root:x:0:\nb:x:100:\nc:x:101:\n").unwrap();
        std::fs::write(at("shadow"), "root:*:1::::::\n").unwrap();
        std::fs::set_permissions(at("shadow"), std::fs::Permissions::from_mode(0o640)).unwrap();
        for _ in 0..2 {
            ensure(dir.path(), "dockremap").unwrap();
        }
        assert!(text("passwd").ends_with("/bin/sh\ndockremap:x:101:102::/nonexistent:/bin/false\n"));
        assert_eq!(text("group"), "root:x:0:\nb:x:100:\nc:x:101:\ndockremap:x:102:\n");
        assert_eq!(text("shadow").matches("\ndockremap:!:").count(), 1);
        assert_eq!(std::fs::metadata(at("shadow")).unwrap().permissions().mode() & 0o7777, 0o640);
        // a table that the machine doesn't have is not begun, and nothing half-made stays
        let mut names: Vec<_> =
            std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, [".pwd.lock", "group", "passwd", "shadow"]);
    }

    #[test]
    fn a_group_that_is_there_already_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("passwd"), "").unwrap();
        std::fs::write(dir.path().join("group"), "dockremap:x:7:\n").unwrap();
        ensure(dir.path(), "dockremap").unwrap();
        let passwd = std::fs::read_to_string(dir.path().join("passwd")).unwrap();
        assert_eq!(passwd, "dockremap:x:100:7::/nonexistent:/bin/false\n");
    }
}
