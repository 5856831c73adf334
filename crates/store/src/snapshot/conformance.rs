//! What every driver must do: one suite, run against each.

use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use tar::EntryType;

use crate::testing::{Tar, docker_archive, list};
use crate::{ChangeKind, DriverChoice, Error, Snapshot, Store};

/// A store with the image `x:1` of three layers.
struct Bench {
    dir: tempfile::TempDir,
    store: Store,
    driver: DriverChoice,
}

fn layers() -> [Vec<u8>; 3] {
    let lower = Tar::new()
        .dir("./", 0o751)
        .dir("etc", 0o755)
        .file("etc/kept", b"kept")
        .file("etc/replaced", b"old")
        .file("etc/removed", b"old")
        .dir("hidden", 0o755)
        .file("hidden/old", b"old")
        .dir("tree", 0o755)
        .dir("tree/sub", 0o755)
        .file("tree/sub/file", b"old")
        .dir("becomes-file", 0o755)
        .file("becomes-file/x", b"old")
        .file("becomes-dir", b"old")
        .end();
    let middle = Tar::new()
        .dir("etc", 0o700)
        .file("etc/replaced", b"new")
        .file("etc/.wh.removed", b"")
        .dir("hidden", 0o755)
        .file("hidden/.wh..wh..opq", b"")
        .file("hidden/new", b"new")
        .file(".wh.tree", b"")
        .file("becomes-file", b"new")
        .dir("becomes-dir", 0o755)
        .file("becomes-dir/x", b"new")
        .end();
    let upper = Tar::new()
        .dir("special", 0o1777)
        .entry("special/a", EntryType::Regular, b"linked", |h| {
            h.set_mode(0o4711);
            h.set_uid(1000);
            h.set_gid(1001);
        })
        .link("special/b", EntryType::Link, "special/a")
        .link("special/s", EntryType::Symlink, "a")
        .entry("special/fifo", EntryType::Fifo, b"", |_| ())
        .device("special/null", EntryType::Char, 1, 3)
        .pax(&[("SCHILY.xattr.user.key", b"value"), ("mtime", b"1600000000.123456789")])
        .file("special/x", b"")
        .end();
    [lower, middle, upper]
}

impl Bench {
    fn new(driver: DriverChoice) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store"), driver).unwrap();
        let layers = layers();
        let layers: Vec<&[u8]> = layers.iter().map(Vec::as_slice).collect();
        store.load(&mut &docker_archive(&["x:1"], &layers)[..], &|_| ()).unwrap();
        Self { dir, store, driver }
    }

    fn snapshot(&self, container: &str) -> Snapshot {
        self.store.create_snapshot(container, &self.store.resolve("x:1").unwrap(), None).unwrap()
    }

    fn reopen(self) -> Self {
        drop(self.store);
        let store = Store::open(&self.dir.path().join("store"), self.driver).unwrap();
        Self { store, ..self }
    }
}

fn read(root: &OwnedFd, path: &str) -> Option<String> {
    let mut text = String::new();
    let file = rustix::fs::openat(root, path, OFlags::RDONLY, Mode::empty()).ok()?;
    File::from(file).read_to_string(&mut text).ok()?;
    Some(text)
}

fn write(root: &OwnedFd, path: &str, content: &str) {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC;
    let file = rustix::fs::openat(root, path, flags, Mode::from_raw_mode(0o644)).unwrap();
    File::from(file).write_all(content.as_bytes()).unwrap();
}

fn stat(root: &OwnedFd, path: &str) -> Option<rustix::fs::Stat> {
    rustix::fs::statat(root, path, AtFlags::SYMLINK_NOFOLLOW).ok()
}

fn names(root: &OwnedFd, path: &str) -> Vec<String> {
    let dir = rustix::fs::openat(root, path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
    let names = super::tree::names(&dir).unwrap();
    names.into_iter().map(|name| String::from_utf8(name).unwrap()).collect()
}

fn shows_all_layers(bench: &Bench) {
    let root = bench.snapshot("shows").mount().unwrap();
    assert_eq!(names(&root, "."), ["becomes-dir", "becomes-file", "etc", "hidden", "special"]);
    assert_eq!(read(&root, "etc/kept").unwrap(), "kept");
    assert_eq!(read(&root, "etc/replaced").unwrap(), "new");
    assert_eq!(names(&root, "etc"), ["kept", "replaced"]);
    assert_eq!(names(&root, "hidden"), ["new"]);
    assert_eq!(read(&root, "becomes-file").unwrap(), "new");
    assert_eq!(names(&root, "becomes-dir"), ["x"]);
    assert_eq!(stat(&root, "etc").unwrap().st_mode & 0o7777, 0o700);
    assert_eq!(stat(&root, ".").unwrap().st_mode & 0o7777, 0o751);
}

/// With owners of a user namespace: all that is shown and written, and the image that comes of it.
fn has_other_owners(bench: &Bench) {
    let range = |inside, outside, count| sys::idmap::Range { inside, outside, count };
    let rows = vec![range(0, 1, 1000), range(1000, 0, 1), range(1001, 1001, 100)];
    let map = sys::idmap::Map { uids: rows.clone(), gids: rows };
    let image = bench.store.resolve("x:1").unwrap();
    let made = bench.store.create_snapshot("owned", &image, Some(&map)).unwrap();
    let root = made.mount().unwrap();
    assert_eq!(names(&root, "."), ["becomes-dir", "becomes-file", "etc", "hidden", "special"]);
    assert_eq!(
        (names(&root, "etc"), names(&root, "hidden")),
        (vec!["kept".into(), "replaced".into()], vec!["new".into()])
    );
    let owner = |path: &str| stat(&root, path).map(|stat| (stat.st_uid, stat.st_gid)).unwrap();
    assert_eq!((owner("."), owner("etc/kept"), owner("special/a")), ((1, 1), (1, 1), (0, 1001)));
    let (a, b) = (stat(&root, "special/a").unwrap(), stat(&root, "special/b").unwrap());
    assert_eq!((a.st_mode & 0o7777, a.st_nlink, a.st_ino), (0o4711, 2, b.st_ino));
    assert_eq!(stat(&root, "special/null").unwrap().st_rdev, rustix::fs::makedev(1, 3));
    assert_eq!(stat(&root, "special/x").unwrap().st_mtime, 1_600_000_000);
    assert!(made.changes(&[]).unwrap().is_empty());
    write(&root, "mine", "x");
    rustix::fs::unlinkat(&root, "etc/kept", AtFlags::empty()).unwrap();
    drop(root);
    let again = bench.store.snapshot("owned").unwrap();
    let changes = again.changes(&[]).unwrap();
    let told: Vec<_> = changes.iter().map(|change| (change.path.to_str().unwrap(), change.kind)).collect();
    assert_eq!(
        told,
        [("/etc", ChangeKind::Modified), ("/etc/kept", ChangeKind::Deleted), ("/mine", ChangeKind::Added)]
    );
    let mut tar = Vec::new();
    again.pack(&changes, &mut tar).unwrap();
    let owners: Vec<_> = tar::Archive::new(&tar[..])
        .entries()
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            (entry.path().unwrap().to_str().unwrap().to_owned(), entry.header().uid().unwrap())
        })
        .collect();
    // what root of this test made is the user's whose 0 is outside
    assert!(owners.contains(&("mine".into(), 1000)) && owners.contains(&("etc/".into(), 0)), "{owners:?}");
    bench.store.remove_snapshot("owned").unwrap();
}

#[test]
fn copies_of_another_run_of_the_machine_are_made_anew() {
    let bench = Bench::new(DriverChoice::Overlay);
    let range = |inside, outside, count| sys::idmap::Range { inside, outside, count };
    let map = sys::idmap::Map { uids: vec![range(0, 5, 2000)], gids: vec![range(0, 6, 2000)] };
    let image = bench.store.resolve("x:1").unwrap();
    bench.store.create_snapshot("owned", &image, Some(&map)).unwrap();
    let layers = bench.dir.path().join("store/layers");
    let copies = || -> Vec<_> {
        let layers = std::fs::read_dir(&layers).unwrap().map(|layer| layer.unwrap().path().join("owned"));
        layers
            .filter(|place| place.exists())
            .flat_map(|place| std::fs::read_dir(place).unwrap())
            .map(|run| run.unwrap().path())
            .collect()
    };
    assert_eq!(copies().len(), 3);
    for run in copies() {
        std::fs::rename(&run, run.with_file_name("another")).unwrap();
    }
    let bench = bench.reopen();
    assert!(copies().is_empty());
    let root = bench.store.snapshot("owned").unwrap().mount().unwrap();
    let owner = |path: &str| stat(&root, path).map(|stat| (stat.st_uid, stat.st_gid)).unwrap();
    assert_eq!((owner("etc/kept"), owner("special/a"), copies().len()), ((5, 6), (1005, 1007), 3));
    drop(root);
    // they are used, and then they are not
    assert_eq!(bench.store.drop_leftovers().unwrap().count, 0);
    bench.store.remove_snapshot("owned").unwrap();
    assert_eq!(bench.store.leftovers().unwrap().count, 3);
    let dropped = bench.store.drop_leftovers().unwrap();
    assert!(dropped.count == 3 && dropped.bytes > 0, "{dropped:?}");
}

fn keeps_attributes(bench: &Bench) {
    let root = bench.snapshot("attributes").mount().unwrap();
    let (a, b) = (stat(&root, "special/a").unwrap(), stat(&root, "special/b").unwrap());
    assert_eq!(
        (a.st_mode & 0o7777, a.st_uid, a.st_gid, a.st_nlink, a.st_ino),
        (0o4711, 1000, 1001, 2, b.st_ino)
    );
    assert_eq!(stat(&root, "special").unwrap().st_mode & 0o7777, 0o1777);
    let x = stat(&root, "special/x").unwrap();
    assert_eq!((x.st_mtime, x.st_mtime_nsec), (1_600_000_000, 123_456_789));
    let kind = |path| FileType::from_raw_mode(stat(&root, path).unwrap().st_mode);
    assert_eq!(kind("special/fifo"), FileType::Fifo);
    assert_eq!(kind("special/null"), FileType::CharacterDevice);
    assert_eq!(stat(&root, "special/null").unwrap().st_rdev, rustix::fs::makedev(1, 3));
    assert_eq!(rustix::fs::readlinkat(&root, "special/s", Vec::new()).unwrap().as_bytes(), b"a");
    let x = rustix::fs::openat(&root, "special/x", OFlags::RDONLY, Mode::empty()).unwrap();
    let mut value = [0_u8; 16];
    let length = rustix::fs::fgetxattr(&x, "user.key", &mut value[..]).unwrap();
    assert_eq!(&value[..length], b"value");
}

fn writes_stay_its_own(bench: &Bench) {
    let (first, second) = (bench.snapshot("own-1"), bench.snapshot("own-2"));
    {
        let root = first.mount().unwrap();
        write(&root, "etc/kept", "changed");
        write(&root, "new", "mine");
        rustix::fs::unlinkat(&root, "etc/replaced", AtFlags::empty()).unwrap();
    }
    let root = second.mount().unwrap();
    assert_eq!(read(&root, "etc/kept").unwrap(), "kept");
    assert_eq!(read(&root, "etc/replaced").unwrap(), "new");
    assert_eq!(read(&root, "new"), None);
    drop(root);
    let root = first.mount().unwrap();
    assert_eq!(read(&root, "etc/kept").unwrap(), "changed");
    assert_eq!(read(&root, "etc/replaced"), None);
    drop(root);
    // What is saved is the image, not what a container made of it.
    bench.store.save(&["x:1".into()], &mut Vec::new()).unwrap();
}

fn lists_changes(bench: &Bench) {
    let snapshot = bench.snapshot("changes");
    assert_eq!(snapshot.changes(&[]).unwrap(), []);
    assert_eq!(snapshot.upper_size().unwrap(), 0);
    {
        let root = snapshot.mount().unwrap();
        write(&root, "etc/kept", "changed");
        rustix::fs::unlinkat(&root, "etc/replaced", AtFlags::empty()).unwrap();
        rustix::fs::mkdirat(&root, "dir", Mode::RWXU).unwrap();
        write(&root, "dir/file", "123");
        // A directory that is removed and made again hides what was in it.
        rustix::fs::unlinkat(&root, "hidden/new", AtFlags::empty()).unwrap();
        rustix::fs::unlinkat(&root, "hidden", AtFlags::REMOVEDIR).unwrap();
        rustix::fs::mkdirat(&root, "hidden", Mode::from_raw_mode(0o755)).unwrap();
        rustix::fs::unlinkat(&root, "becomes-file", AtFlags::empty()).unwrap();
        rustix::fs::mkdirat(&root, "becomes-file", Mode::RWXU).unwrap();
    }
    let changes = snapshot.changes(&[]).unwrap();
    let changes: Vec<(&str, ChangeKind)> =
        changes.iter().map(|c| (c.path.to_str().unwrap(), c.kind)).collect();
    assert_eq!(
        changes,
        [
            ("/becomes-file", ChangeKind::Modified),
            ("/dir", ChangeKind::Added),
            ("/dir/file", ChangeKind::Added),
            ("/etc", ChangeKind::Modified),
            ("/etc/kept", ChangeKind::Modified),
            ("/etc/replaced", ChangeKind::Deleted),
            ("/hidden", ChangeKind::Modified),
            ("/hidden/new", ChangeKind::Deleted),
        ]
    );
    assert_eq!(snapshot.upper_size().unwrap(), 10);
}

fn outlives_its_image(bench: Bench) -> Bench {
    let kept = bench.snapshot("kept");
    write(&kept.mount().unwrap(), "mine", "1");
    drop(kept);
    let options = crate::RemoveOptions { force: true, prune: true };
    bench.store.remove("x:1", options, &|_| Vec::new()).unwrap();
    assert!(bench.store.images().is_empty());
    let bench = bench.reopen();
    let root = bench.store.snapshot("kept").unwrap().mount().unwrap();
    assert_eq!(read(&root, "mine").unwrap(), "1");
    assert_eq!(read(&root, "etc/kept").unwrap(), "kept");
    bench
}

fn removes(bench: Bench) {
    let live = HashSet::from(["kept".to_owned()]);
    let mut swept = bench.store.sweep(&live).unwrap();
    swept.snapshots.sort();
    assert_eq!(swept.snapshots, ["attributes", "changes", "own-1", "own-2", "shows"]);
    assert_eq!(list(&bench.dir.path().join("store/layers")).len(), 3);
    bench.store.remove_snapshot("kept").unwrap();
    bench.store.remove_snapshot("kept").unwrap();
    assert!(matches!(bench.store.snapshot("kept"), Err(Error::NoSuchSnapshot(_))));
    let bench = bench.reopen();
    for name in ["layers", "snapshots", "chains", "images", "blobs/sha256"] {
        assert_eq!(list(&bench.dir.path().join("store").join(name)).len(), 0, "{name}");
    }
}

fn refuses(bench: &Bench) {
    let image = bench.store.resolve("x:1").unwrap();
    assert!(matches!(bench.store.create_snapshot("shows", &image, None), Err(Error::SnapshotExists(_))));
    for name in ["", ".", "..", "a/b", "../x", ".hidden"] {
        assert!(bench.store.create_snapshot(name, &image, None).is_err(), "{name:?}");
    }
    let nothing = oci::Digest::sha256(b"nothing");
    assert!(matches!(bench.store.create_snapshot("y", &nothing, None), Err(Error::NoSuchImage(_))));
}

fn conforms(driver: DriverChoice) {
    let bench = Bench::new(driver);
    shows_all_layers(&bench);
    has_other_owners(&bench);
    keeps_attributes(&bench);
    writes_stay_its_own(&bench);
    lists_changes(&bench);
    refuses(&bench);
    removes(outlives_its_image(bench));
}

#[test]
fn overlay_conforms() {
    conforms(DriverChoice::Overlay);
}

#[test]
fn vfs_conforms() {
    conforms(DriverChoice::Vfs);
}

#[test]
fn what_another_driver_made_stays_usable() {
    let bench = Bench::new(DriverChoice::Vfs);
    write(&bench.snapshot("copy").mount().unwrap(), "mine", "1");
    let bench = Bench { driver: DriverChoice::Overlay, ..bench }.reopen();
    assert_eq!(read(&bench.store.snapshot("copy").unwrap().mount().unwrap(), "mine").unwrap(), "1");
}

#[test]
fn an_image_without_layers() {
    let dir = tempfile::tempdir().unwrap();
    for driver in [DriverChoice::Overlay, DriverChoice::Vfs] {
        let store = Store::open(&dir.path().join(format!("{driver:?}")), driver).unwrap();
        let id = store.load(&mut &docker_archive(&["scratch:1"], &[])[..], &|_| ()).unwrap().remove(0).id;
        let root = store.create_snapshot("c", &id, None).unwrap().mount().unwrap();
        assert_eq!(names(&root, "."), Vec::<String>::new());
    }
}

#[test]
fn many_layers() {
    let layers: Vec<Vec<u8>> =
        (0..140).map(|n| Tar::new().file(&format!("f{n}"), format!("{n}").as_bytes()).end()).collect();
    let layers: Vec<&[u8]> = layers.iter().map(Vec::as_slice).collect();
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("store"), DriverChoice::Overlay).unwrap();
    let id = store.load(&mut &docker_archive(&["many:1"], &layers)[..], &|_| ()).unwrap().remove(0).id;
    let root = store.create_snapshot("c", &id, None).unwrap().mount().unwrap();
    assert_eq!(names(&root, ".").len(), 140);
}

#[test]
fn the_ways_for_older_kernels() {
    use super::overlay::{mount_legacy, mount_together};
    let bench = Bench::new(DriverChoice::Overlay);
    for (name, mount) in [("c", mount_legacy as fn(&_, &_, &_) -> _), ("d", mount_together)] {
        let snapshot = bench.snapshot(name);
        let at = |name: &str| snapshot.at(name);
        let (upper, work) = (at(crate::layout::snapshot::UPPER), at(crate::layout::snapshot::WORK));
        let root = mount(&snapshot.lowers, &upper, &work).unwrap();
        assert_eq!(read(&root, "etc/replaced").unwrap(), "new");
        write(&root, "new", "mine");
        drop(root);
        assert_eq!(read(&snapshot.mount().unwrap(), "new").unwrap(), "mine");
    }
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(bench.dir.path().to_str().unwrap()));
}

#[test]
fn overlay_on_overlay_is_a_copy() {
    let bench = Bench::new(DriverChoice::Overlay);
    let outer = bench.snapshot("outer").mount().unwrap();
    let inner = format!("/proc/self/fd/{}/store", std::os::fd::AsRawFd::as_raw_fd(&outer));
    let store = Store::open(std::path::Path::new(&inner), DriverChoice::Auto).unwrap();
    assert_eq!(store.driver(), crate::Driver::Vfs);
    let refused = Store::open(std::path::Path::new(&format!("{inner}2")), DriverChoice::Overlay);
    assert!(matches!(refused, Err(Error::Driver { .. })));
}
