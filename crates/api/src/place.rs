//! Where a daemon with default settings has its state and its socket: what both ends find without being told.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The name of the socket in the state directory.
pub const SOCKET: &str = "berth.sock";
/// Where root's daemon has its state.
pub const ROOTS_STATE: &str = "/run/berth";

/// Where the daemon of an ordinary user has its state: in the first directory of his own among `$XDG_RUNTIME_DIR`,
/// `/run/user/UID` and (where nobody keeps sessions) `~/.docker/run`, which need not be there yet. `uid` is his number on
/// the host, `owner` the one by which this process sees his files, which differs in a user namespace. `None` when the
/// environment names no home.
#[must_use]
pub fn users_state(uid: u32, owner: u32, env: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let named = |name: &str| env(name).filter(|path| !path.is_empty()).map(PathBuf::from);
    // after `su` the variable may be another user's
    let own = |path: &PathBuf| is_owned(path, owner);
    let session = PathBuf::from(format!("/run/user/{uid}"));
    let state = named("XDG_RUNTIME_DIR").filter(own).or_else(|| Some(session).filter(own));
    let state = state.or_else(|| named("HOME").map(|home| home.join(".docker/run")))?;
    Some(state.join("berth"))
}

fn is_owned(path: &Path, owner: u32) -> bool {
    path.is_absolute() && std::fs::metadata(path).is_ok_and(|found| found.is_dir() && found.uid() == owner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_users_session_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let own = std::fs::metadata(dir.path()).unwrap().uid();
        let env = |name: &str| match name {
            "XDG_RUNTIME_DIR" => Some(dir.path().into()),
            "HOME" => Some("/home/me".into()),
            _ => None,
        };
        // no user has this number
        let nobody = u32::MAX - 9;
        assert_eq!(users_state(nobody, own, env), Some(dir.path().join("berth")));
        assert_eq!(users_state(nobody, nobody, env), Some("/home/me/.docker/run/berth".into()));
        assert_eq!(users_state(nobody, own, |_| None), None);
        assert_eq!(users_state(nobody, own, |_| Some("".into())), None);
    }
}
