//! The packages of the system's package manager.

mod header;
mod lists;
mod sqlite;

use sys::path::Root;

use crate::{Packages, read};

/// Longest `os-release`.
const MAX_RELEASE: usize = 64 << 10;
/// Largest list of packages.
const MAX_LIST: usize = 256 << 20;

/// Where apk and rpm keep theirs, the newer place first.
const APK: &[&str] = &["lib/apk/db/installed", "usr/lib/apk/db/installed"];
const RPM: &[&str] = &["var/lib/rpm", "usr/lib/sysimage/rpm", "usr/share/rpm"];

pub(crate) fn scan(root: &Root, found: &mut Packages) {
    for path in ["etc/os-release", "usr/lib/os-release"] {
        if let Some(text) = read(root, path, MAX_RELEASE, found) {
            lists::release(&String::from_utf8_lossy(&text), found);
            break;
        }
    }
    if let Some(text) = read(root, "var/lib/dpkg/status", MAX_LIST, found) {
        lists::dpkg(&String::from_utf8_lossy(&text), "var/lib/dpkg/status", found);
    }
    // images without dpkg have a file for each package
    if let Ok(dir) = root.open_dir("var/lib/dpkg/status.d") {
        for name in tarball::names(&dir).unwrap_or_default() {
            let Ok(name) = String::from_utf8(name) else { continue };
            let path = format!("var/lib/dpkg/status.d/{name}");
            if let Some(text) = read(root, &path, MAX_RELEASE, found).filter(|_| !name.ends_with(".md5sums"))
            {
                lists::dpkg(&String::from_utf8_lossy(&text), &path, found);
            }
        }
    }
    for path in APK {
        if let Some(text) = read(root, path, MAX_LIST, found) {
            lists::apk(&String::from_utf8_lossy(&text), path, found);
            break;
        }
    }
    for dir in RPM {
        rpm(root, dir, found);
    }
}

fn rpm(root: &Root, dir: &str, found: &mut Packages) {
    let path = format!("{dir}/rpmdb.sqlite");
    if let Some(bytes) = read(root, &path, MAX_LIST, found) {
        if root.stat(format!("{path}-wal")).is_ok_and(|stat| stat.st_size > 0) {
            found.remark(format!("{path}-wal was not read: what was changed last may be missing"));
        }
        match sqlite::blobs(&bytes, "Packages") {
            Ok(headers) => headers.iter().for_each(|header| header::package(header, &path, found)),
            Err(error) => found.remark(format!("{path} was not read: {error}")),
        }
        return;
    }
    for (name, form) in [("Packages.db", "ndb"), ("Packages", "Berkeley DB")] {
        let path = format!("{dir}/{name}");
        if root.stat(&path).is_ok_and(|stat| stat.st_size > 0) {
            found.remark(format!(
                "{path} was not read: rpm's packages in the form of {form} can't be listed by this version of Berth"
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::tests::{purls, scanned};

    const RELEASE: &[u8] = b"ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME='Debian 12'\n";

    #[test]
    fn dpkg_lists_what_is_installed() {
        let status = b"Package: a\nStatus: install ok installed\nVersion: 1-2\nArchitecture: amd64\nMaintainer: Me <m@e>\n\
            Description: words\n Package: no\n\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 1\n";
        let found = scanned(&[
            ("etc/os-release", RELEASE),
            ("var/lib/dpkg/status", status),
            ("var/lib/dpkg/status.d/b", b"Package: b\nVersion: 3\n"),
        ]);
        assert_eq!(
            purls(&found),
            ["pkg:deb/debian/a@1-2?arch=amd64&distro=debian-12", "pkg:deb/debian/b@3?distro=debian-12"]
        );
        assert_eq!(found.all[0].supplier, "Me <m@e>");
    }

    #[test]
    fn apk_lists_what_is_installed() {
        let installed = b"C:Q1\nP:musl\nV:1.2.3-r4\nA:x86_64\nL:MIT\nF:lib\nR:x\n\nP:busybox\nV:1\n";
        let found = scanned(&[("lib/apk/db/installed", installed)]);
        assert_eq!(purls(&found), ["pkg:apk/busybox@1", "pkg:apk/musl@1.2.3-r4?arch=x86_64"]);
        assert_eq!(found.all[1].license, "MIT");
    }

    #[test]
    fn other_forms_of_rpms_list_are_named() {
        let found = scanned(&[("var/lib/rpm/Packages.db", b"RpmP")]);
        assert!(found.remarks[0].contains("ndb"), "{:?}", found.remarks);
        let found = scanned(&[("var/lib/rpm/rpmdb.sqlite", b"SQLite")]);
        assert!(found.remarks[0].contains("rpmdb.sqlite was not read"), "{:?}", found.remarks);
    }
}
