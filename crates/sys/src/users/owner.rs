//! Making files as somebody else.

use crate::{Result, caps, raw};

/// Back to what the thread was.
struct Back {
    uid: u32,
    gid: u32,
}

impl Drop for Back {
    fn drop(&mut self) {
        raw::misc::set_fs_ids(self.uid, self.gid);
    }
}

/// Does something on this thread whose new files belong to this user and group (`setfsuid(2)`), with all the rights
/// that the thread has otherwise. On an idmapped mount nobody can make a file who has no id there: root neither.
///
/// # Errors
/// What `capset(2)` says; then nothing was done.
pub fn as_owner<T>(uid: u32, gid: u32, work: impl FnOnce() -> T) -> Result<T> {
    let before = rustix::thread::capabilities(None)?;
    let (uid, gid) = raw::misc::set_fs_ids(uid, gid);
    // from here on, also when `work` unwinds
    let _back = Back { uid, gid };
    // a change of the user from 0 takes the rights over files away
    caps::set_all(&before)?;
    Ok(work())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn files_are_somebody_elses_and_the_thread_is_its_own_again() {
        if !rustix::process::geteuid().is_root() {
            return eprintln!("NOT RUN: only root may be somebody else");
        }
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let owner = |name: &str| {
            let meta = std::fs::metadata(path(name)).unwrap();
            (meta.uid(), meta.gid())
        };
        // the directory is root's alone: the right to override that has stayed
        super::as_owner(4711, 815, || std::fs::write(path("a"), "")).unwrap().unwrap();
        std::fs::write(path("b"), "").unwrap();
        assert_eq!((owner("a"), owner("b")), ((4711, 815), (0, 0)));
        let unwound = std::panic::catch_unwind(|| super::as_owner(1, 1, || panic!("on purpose")));
        assert!(unwound.is_err());
        std::fs::write(path("c"), "").unwrap();
        assert_eq!(owner("c"), (0, 0));
    }
}
