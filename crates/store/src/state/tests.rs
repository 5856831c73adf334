use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::testing::{Tar, Tmpfs, assert_empty, docker_archive, list, store};
use crate::{DriverChoice, Error, ErrorKind, Store};

fn big_archive(tag: &str) -> Vec<u8> {
    let layers: Vec<Vec<u8>> = (0..4_u8)
        .map(|n| {
            let tar = Tar::new().dir(&format!("d{n}"), 0o755);
            (0..150).fold(tar, |tar, f| tar.file(&format!("d{n}/{f}"), &vec![n; 3000])).end()
        })
        .collect();
    docker_archive(&[tag], &layers.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

#[test]
fn one_process_at_a_time() {
    let (dir, store) = store();
    let path = dir.path().join("store");
    assert!(matches!(Store::open(&path, DriverChoice::Auto), Err(Error::Locked(_))));
    drop(store);
    Store::open(&path, DriverChoice::Auto).unwrap();
    fs::write(path.join("version"), "999\n").unwrap();
    assert!(matches!(Store::open(&path, DriverChoice::Auto), Err(Error::Version { known: 1, .. })));
    assert!(list(&path).contains(&"layers".to_owned()));
}

#[test]
fn layers_are_spread_over_the_disk() {
    let (dir, _store) = store();
    let flags = |path: &Path| rustix::fs::ioctl_getflags(fs::File::open(path).unwrap());
    let other = dir.path().join("other");
    fs::create_dir(&other).unwrap();
    let can = flags(&other).and_then(|flags| {
        rustix::fs::ioctl_setflags(fs::File::open(&other).unwrap(), flags | rustix::fs::IFlags::TOPDIR)
    });
    if let Err(error) = can {
        eprintln!("NOT RUN: this file system has no attribute T: {error}");
        return;
    }
    for place in ["store/tmp", "store/snapshots"] {
        assert!(flags(&dir.path().join(place)).unwrap().contains(rustix::fs::IFlags::TOPDIR), "{place}");
    }
}

/// A store as it was before pulls were known.
#[test]
fn a_store_of_the_first_version() {
    let (dir, store) = store();
    let path = dir.path().join("store");
    let id = store.load(&mut &big_archive("x:1")[..], &|_| ()).unwrap().remove(0).id;
    drop(store);
    for name in ["ingest", "pulled"] {
        fs::remove_dir_all(path.join(name)).unwrap();
    }
    let record = path.join("images").join(format!("{}.json", id.hex()));
    fs::write(record, r#"{"last_tagged":1700000000000000000}"#).unwrap();
    for key in list(&path.join("layers")) {
        let record = path.join("layers").join(key).join("layer.json");
        let text = fs::read_to_string(&record).unwrap();
        let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
        // As its first releases wrote it.
        value.as_object_mut().unwrap().remove("blobs");
        fs::write(record, value.to_string()).unwrap();
    }
    let store = Store::open(&path, DriverChoice::Auto).unwrap();
    assert_eq!(store.resolve("x:1").unwrap(), id);
    assert_eq!(store.image(&id).unwrap().last_tagged, 1_700_000_000_000_000_000);
    assert!(store.manifests(&id).unwrap().is_empty());
    store.create_snapshot("c", &id, None).unwrap();
    let plan = store.push_plan(&id).unwrap();
    assert!(plan.layers.iter().all(|layer| layer.blobs.is_empty()));
    for position in 0..plan.layers.len() {
        let mut compressing = plan.compress(position).unwrap();
        while compressing.next_chunk().unwrap().is_some() {}
        compressing.finish().unwrap();
    }
    assert!(store.push_plan(&id).unwrap().layers.iter().all(|layer| layer.blobs.len() == 1));
}

/// The first version removes manifests, of which it knows nothing.
#[test]
fn a_store_that_the_first_version_had_open_since() {
    let (dir, store) = store();
    let path = dir.path().join("store");
    let id = store.load(&mut &big_archive("x:1")[..], &|_| ()).unwrap().remove(0).id;
    let plan = store.push_plan(&id).unwrap();
    let mut compressing = plan.compress(0).unwrap();
    while compressing.next_chunk().unwrap().is_some() {}
    let blob = compressing.finish().unwrap();
    let manifest = plan.manifest(&[blob.clone(), blob.clone(), blob.clone(), blob]).unwrap();
    let name = oci::Reference::parse("pushed/to").unwrap();
    let digest = plan.pushed(&name, crate::Pushed::New(manifest), &[]).unwrap();
    drop((plan, store));
    fs::remove_file(path.join("blobs/sha256").join(digest.hex())).unwrap();
    let store = Store::open(&path, DriverChoice::Auto).unwrap();
    assert!(store.manifests(&id).unwrap().is_empty());
    assert_eq!(store.resolve(&format!("pushed/to@{digest}")).unwrap(), id);
}

#[test]
fn closed_to_others() {
    let (dir, store) = store();
    store.load(&mut &big_archive("x:1")[..], &|_| ()).unwrap();
    fn check(path: &Path, depth: usize) {
        let mode = fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o700, "{}", path.display());
        for entry in fs::read_dir(path).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() && depth > 0 {
                check(&entry.path(), depth - 1);
            }
        }
    }
    check(&dir.path().join("store"), 1);
}

#[test]
fn a_full_disk_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("small");
    fs::create_dir(&path).unwrap();
    let mount = Tmpfs::new(&path, "size=1m");
    for archive in [big_archive("x:1"), crate::testing::gzip(&big_archive("x:1"))] {
        let store = Store::open(&path.join("store"), DriverChoice::Auto).unwrap();
        let error = store.load(&mut &archive[..], &|_| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}");
        assert!(store.images().is_empty());
        for name in ["layers", "images", "chains", "blobs/sha256", "tmp"] {
            assert_eq!(list(&path.join("store").join(name)).len(), 0, "{name}");
        }
    }
    drop(mount);
}

/// Where the child of [`killed_at_any_moment`] finds its store; not set in a normal run.
const CHILD: &str = "BERTH_STORE_TEST_CHILD";

/// Loads and removes images until it is killed.
#[test]
fn child_that_is_killed() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    let store = Store::open(Path::new(&path), DriverChoice::Auto).unwrap();
    println!("open");
    for n in 0.. {
        let id = store.load(&mut &big_archive(&format!("x:{n}"))[..], &|_| ()).unwrap().remove(0).id;
        println!("loaded {n}");
        store.create_snapshot(&format!("c{n}"), &id, None).unwrap();
        if n % 2 == 0 {
            let options = crate::RemoveOptions { force: true, prune: true };
            store.remove(id.as_str(), options, &|_| Vec::new()).unwrap();
            store.remove_snapshot(&format!("c{n}")).unwrap();
        }
    }
}

#[test]
fn killed_at_any_moment() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    for round in 0..8_u32 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "state::tests::child_that_is_killed", "--nocapture", "--test-threads=1"])
            .env(CHILD, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = child.stdout.take().unwrap();
        let mut seen = String::new();
        while !seen.contains("open\n") {
            let mut byte = [0];
            assert_eq!(output.read(&mut byte).unwrap(), 1);
            seen.push(byte[0].into());
        }
        // The moment is what the test is about: a wait of another length in each round.
        let exited = rustix::event::PollFd::new(&output, rustix::event::PollFlags::ERR);
        let wait = rustix::event::Timespec { tv_sec: 0, tv_nsec: i64::from(round * 23 % 60) * 1_000_000 };
        rustix::event::poll(&mut [exited], Some(&wait)).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        output.read_to_string(&mut seen).unwrap();
        check(&path);
    }
    let store = Store::open(&path, DriverChoice::Auto).unwrap();
    store.sweep(&Default::default()).unwrap();
    let options = crate::RemoveOptions { force: true, prune: true };
    for image in store.images() {
        store.remove(image.id.as_str(), options, &|_| Vec::new()).unwrap();
    }
    drop(store);
    assert_empty(&dir);
}

/// Everything that is there can be used, and nothing else is there.
fn check(path: &Path) {
    let store = Store::open(path, DriverChoice::Auto).unwrap();
    assert_eq!(list(&path.join("tmp")).len(), 0);
    for image in store.images() {
        store.save(&[image.id.to_string()], &mut Vec::new()).unwrap();
        let name = format!("probe-{}", image.id.short());
        store.create_snapshot(&name, &image.id, None).unwrap().mount().unwrap();
        store.remove_snapshot(&name).unwrap();
    }
    let layers = list(&path.join("layers")).len();
    store.sweep(&Default::default()).unwrap();
    assert!(store.images().is_empty() || list(&path.join("layers")).len() == 4);
    assert!(layers == 0 || layers == 4, "{layers}");
}
