//! `--userns=keep-id`: whoever runs the daemon has the same ids in a container, whose image may not know them. Then
//! programs that ask for his name find none, so that he gets a line in `passwd(5)`, and his group one in `group(5)`.

use std::io::Write as _;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use sys::path::Root;
use sys::users;

use crate::error::{Error, Result};

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";

/// A user whom an image may not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Newcomer {
    uid: u32,
    gid: u32,
    /// As the host calls them.
    user: Option<String>,
    group: Option<String>,
    home: String,
}

impl Newcomer {
    /// Who has these ids in the container and `home` there. They have their names on the host, if they have these ids on
    /// the host.
    pub(super) fn of_host(uid: u32, gid: u32, home: &str) -> Self {
        let table = |path: &str| sys::file::read_bounded(path, users::MAX_FILE).unwrap_or_default();
        Self {
            uid,
            gid,
            user: users::user_name(uid, &table(PASSWD)),
            group: users::group_name(gid, &table(GROUP)),
            home: home.to_owned(),
        }
    }

    /// The line for a table of users, if it needs one.
    fn passwd(&self, table: &[u8]) -> Option<String> {
        if users::user_name(self.uid, table).is_some() {
            return None;
        }
        let Self { uid, gid, .. } = self;
        let name = free(self.user.as_deref(), *uid, |name| users::resolve(name, table, b"").is_ok());
        // what would be another field or line, is none of a home
        let home = if self.home.contains([':', '\n']) { "/" } else { &self.home };
        Some(format!("{name}:*:{uid}:{gid}::{home}:/bin/sh\n"))
    }

    /// The line for a table of groups, if it needs one.
    fn group(&self, table: &[u8]) -> Option<String> {
        if users::group_name(self.gid, table).is_some() {
            return None;
        }
        let gid = self.gid;
        let name = free(self.group.as_deref(), gid, |name| users::resolve_groups(&[name], table).is_ok());
        Some(format!("{name}:x:{gid}:\n"))
    }
}

/// A name that isn't taken: else the number, as Podman does.
fn free(name: Option<&str>, id: u32, taken: impl Fn(&str) -> bool) -> String {
    name.filter(|name| !taken(name)).map_or_else(|| id.to_string(), str::to_owned)
}

/// Adds the lines that are missing in a root's tables; a table that is missing stays so.
///
/// # Errors
/// A table can't be read or written.
pub(super) fn introduce(root: &Root, who: &Newcomer) -> Result<()> {
    add(root, PASSWD, |table| who.passwd(table))?;
    add(root, GROUP, |table| who.group(table))
}

fn add(root: &Root, path: &str, line: impl FnOnce(&[u8]) -> Option<String>) -> Result<()> {
    let table = super::read(root, path)?;
    let Some(line) = line(&table) else { return Ok(()) };
    let gap = if table.is_empty() || table.ends_with(b"\n") { "" } else { "\n" };
    let failed = |error: std::io::Error| Error::because(format!("write {path} of the container"), error);
    // it was read: it is a file, or missing
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut file = match root.open(path, flags, Mode::empty()) {
        Ok(file) => std::fs::File::from(file),
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
        Err(errno) => return Err(failed(errno.into())),
    };
    file.write_all(format!("{gap}{line}").as_bytes()).and_then(|()| file.sync_data()).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[u8] = b"root:x:0:0:root:/root:/bin/sh\napp:x:50:60::/app:/bin/sh";

    fn who(uid: u32, user: &str) -> Newcomer {
        Newcomer { uid, gid: uid, user: Some(user.into()), group: Some(user.into()), home: "/work".into() }
    }

    #[test]
    fn who_is_known_gets_no_line() {
        assert_eq!(who(50, "me").passwd(TABLE), None);
        assert_eq!(who(1000, "me").passwd(TABLE).unwrap(), "me:*:1000:1000::/work:/bin/sh\n");
        assert_eq!(who(1000, "app").passwd(TABLE).unwrap(), "1000:*:1000:1000::/work:/bin/sh\n");
        assert_eq!(who(60, "me").group(b"app:x:60:\n"), None);
        assert_eq!(who(61, "me").group(b"app:x:60:\n").unwrap(), "me:x:61:\n");
        assert_eq!(who(61, "app").group(b"app:x:60:\n").unwrap(), "61:x:61:\n");
        let odd = Newcomer { home: "/a:b".into(), user: None, ..who(7, "") };
        assert_eq!(odd.passwd(TABLE).unwrap(), "7:*:7:7::/:/bin/sh\n");
    }

    #[test]
    fn lines_are_added_where_there_is_a_table() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open_in_root(dir.path()).unwrap();
        introduce(&root, &who(5, "me")).unwrap();
        assert!(std::fs::read_dir(dir.path()).unwrap().next().is_none());
        std::fs::create_dir(dir.path().join("etc")).unwrap();
        let passwd = dir.path().join("etc/passwd");
        std::fs::write(&passwd, TABLE).unwrap();
        for _ in 0..2 {
            introduce(&root, &who(5, "me")).unwrap();
            let wanted = [TABLE, b"\nme:*:5:5::/work:/bin/sh\n"].concat();
            assert_eq!(std::fs::read(&passwd).unwrap(), wanted);
        }
        assert!(!dir.path().join("etc/group").exists());
    }
}
