//! Which packages a root file system holds: those that its package managers have noted, and those that languages' lock
//! files and installed packages name. Nothing in it is run, and nothing of it is trusted: every file has a limit, and a
//! link leads nowhere outside.

mod language;
mod package;
mod spdx;
mod system;
mod walk;

use std::io;

use sys::path::Root;

pub use package::{Ecosystem, Package, Packages};
pub use spdx::spdx;

/// Most packages of one root; what is beyond them is not listed, and the list says so.
pub const MAX_PACKAGES: usize = 200_000;

/// Looks through a root. `cancelled` is asked now and then.
///
/// # Errors
/// The root can't be read. A file in it that can't be read is a remark, and no error.
pub fn scan(root: &Root, cancelled: &dyn Fn() -> bool) -> io::Result<Packages> {
    let mut found = Packages::default();
    system::scan(root, &mut found);
    walk::files(root, cancelled, &mut |path, name| language::file(root, path, name, &mut found))?;
    found.settle();
    Ok(found)
}

/// A file's text, if it is there and not larger than this; what is wrong with it is noted.
fn read(root: &Root, path: &str, limit: usize, found: &mut Packages) -> Option<Vec<u8>> {
    match root.read_bounded(path, limit) {
        Ok(bytes) => Some(bytes),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => None,
        Err(error) => {
            found.remark(format!("{path} was not read: {error}"));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A root with these files.
    pub(crate) fn scanned(files: &[(&str, &[u8])]) -> Packages {
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        scan(&Root::open_in_root(dir.path()).unwrap(), &|| false).unwrap()
    }

    pub(crate) fn purls(found: &Packages) -> Vec<String> {
        found.all.iter().map(|package| package.purl(found)).collect()
    }

    #[test]
    fn an_empty_root_holds_nothing() {
        let found = scanned(&[]);
        assert!(found.all.is_empty() && found.remarks.is_empty());
    }

    #[test]
    fn links_lead_nowhere_outside_and_what_is_wrong_is_a_remark() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(
            outside.path().join("status"),
            "Package: evil\nVersion: 1\nStatus: install ok installed\n",
        )
        .unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("var/lib")).unwrap();
        std::os::unix::fs::symlink(outside.path(), dir.path().join("var/lib/dpkg")).unwrap();
        std::fs::write(dir.path().join("Cargo.lock"), "[[package").unwrap();
        let found = scan(&Root::open_in_root(dir.path()).unwrap(), &|| false).unwrap();
        assert!(found.all.is_empty());
        assert!(found.remarks[0].contains("Cargo.lock"), "{:?}", found.remarks);
    }
}
