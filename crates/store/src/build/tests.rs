use std::fs;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use oci::image::RootFs;
use oci::{Image, ImageConfig};
use rustix::fs::{FileType, Mode};
use tar::EntryType;
use tempfile::TempDir;

use super::*;
use crate::DriverChoice;
use crate::testing::{Tar, docker_archive};

fn write(dir: &Path, snapshot: &str, name: &str) {
    for place in ["upper", "root"] {
        let path = dir.join("snapshots").join(snapshot).join(place);
        if path.exists() {
            let mut file = fs::File::create(path.join(name)).unwrap();
            file.write_all(name.as_bytes()).unwrap();
            // the same file is the same layer
            file.set_modified(std::time::UNIX_EPOCH).unwrap();
        }
    }
}

/// A layer with one file above others.
fn layer(store: &Store, dir: &Path, below: &[Digest], name: &str) -> Hold {
    let snapshot = format!("step-{name}");
    store.create_snapshot_on(&snapshot, below).unwrap();
    write(dir, &snapshot, name);
    let held = store.commit_layer(&snapshot, below, &[]).unwrap();
    store.remove_snapshot(&snapshot).unwrap();
    held
}

#[test]
fn a_stack_stays_as_long_as_it_is_held() {
    let dir = TempDir::new().unwrap();
    let store = Store::open(dir.path(), DriverChoice::Auto).unwrap();
    let first = layer(&store, dir.path(), &[], "a");
    let second = layer(&store, dir.path(), first.layers(), "b");
    assert_eq!(second.layers().len(), 2);
    let stack = second.layers().to_vec();
    drop(first);
    assert!(store.hold(&stack).is_some());
    drop(second);
    assert!(store.hold(&stack).is_none());
}

#[test]
fn nothing_changed_makes_no_layer() {
    let dir = TempDir::new().unwrap();
    let store = Store::open(dir.path(), DriverChoice::Auto).unwrap();
    store.create_snapshot_on("step", &[]).unwrap();
    assert_eq!(store.commit_layer("step", &[], &[]).unwrap().layers(), []);
}

/// The store as a process that is killed now leaves it.
fn killed(dir: &Path) -> TempDir {
    let copy = TempDir::new().unwrap();
    // what is being removed is of no interest
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let entries = entries.filter(|path| path.file_name().unwrap() != "trash");
    let done = std::process::Command::new("cp").arg("-a").args(entries).arg(copy.path()).status().unwrap();
    assert!(done.success());
    copy
}

#[test]
fn what_a_cache_names_outlives_the_process_and_an_unsynced_layer_not_the_machine() {
    let dir = TempDir::new().unwrap();
    let store = Store::open(dir.path(), DriverChoice::Auto).unwrap();
    let held = layer(&store, dir.path(), &[], "a");
    let kept = [held.layers().to_vec()];
    let stack = &kept[0];

    let next = killed(dir.path());
    let store = Store::open(next.path(), DriverChoice::Auto).unwrap();
    assert!(store.hold(stack).is_none(), "nobody has named it");

    let next = killed(dir.path());
    let store = Store::open_keeping(next.path(), DriverChoice::Auto, &kept).unwrap();
    let held = store.hold(stack).unwrap();
    store.let_go_of_kept(&kept).unwrap();
    assert!(store.hold(stack).is_some());
    drop(held);
    assert!(store.hold(stack).is_none());

    let next = killed(dir.path());
    let marker = next.path().join("layers").join(stack[0].hex()).join("unsynced");
    assert!(marker.exists());
    fs::write(marker, "another run of the machine").unwrap();
    let store = Store::open_keeping(next.path(), DriverChoice::Auto, &kept).unwrap();
    assert!(store.hold(stack).is_none());
}

#[test]
fn what_is_left_here_outlives_the_store() {
    let dir = TempDir::new().unwrap();
    let store = Store::open(dir.path(), DriverChoice::Auto).unwrap();
    let held = layer(&store, dir.path(), &[], "a");
    let kept = [held.layers().to_vec()];
    held.leave();
    drop(store);
    let store = Store::open_keeping(dir.path(), DriverChoice::Auto, &kept).unwrap();
    assert!(store.hold(&kept[0]).is_some());
}

#[test]
fn an_image_of_layers_makes_them_durable_and_keeps_them() {
    let dir = TempDir::new().unwrap();
    let store = Store::open(dir.path(), DriverChoice::Auto).unwrap();
    let held = layer(&store, dir.path(), &[], "a");
    let rootfs = RootFs { diff_ids: held.layers().to_vec(), ..RootFs::default() };
    let image = Image::encode(&ImageConfig { rootfs, ..ImageConfig::default() }).unwrap();
    let id = store.create_image(image, Vec::new(), None, &|_| ()).unwrap();
    let marker = dir.path().join("layers").join(held.layers()[0].hex()).join("unsynced");
    assert!(!marker.exists());
    drop(held);
    assert_eq!(store.image(&id).unwrap().size, 1);
}

#[test]
fn an_image_that_is_here_gets_names_and_nothing_else() {
    let dir = TempDir::new().unwrap();
    let store = Store::open(dir.path(), DriverChoice::Auto).unwrap();
    let held = layer(&store, dir.path(), &[], "a");
    let image = |author: &str, diff_ids: &[Digest]| {
        let rootfs = RootFs { diff_ids: diff_ids.to_vec(), ..RootFs::default() };
        Image::encode(&ImageConfig { rootfs, author: Some(author.into()), ..ImageConfig::default() }).unwrap()
    };
    let (first, other) = (image("one", held.layers()), image("two", held.layers()));
    let moved = std::sync::Mutex::new(Vec::new());
    let create = |image: &Image, names: &[&str]| {
        let names = names.iter().map(|name| Reference::parse(name).unwrap().with_default_tag()).collect();
        let progress = |progress| moved.lock().unwrap().push(progress);
        store.create_image(image.clone(), names, None, &progress).unwrap()
    };
    let (id, other) = (create(&first, &["a"]), create(&other, &["b"]));
    let tagged = store.image(&id).unwrap().last_tagged;
    assert_eq!(create(&first, &["b", "c"]), id);
    let b = Reference::parse("b").unwrap().with_default_tag();
    assert_eq!(*moved.lock().unwrap(), [Progress::Renamed { name: b, old: other.clone() }]);

    // as a killed process leaves it
    let next = killed(dir.path());
    let store = Store::open(next.path(), DriverChoice::Auto).unwrap();
    let image = store.image(&id).unwrap();
    assert_eq!(
        image.tags.iter().map(Reference::familiar).collect::<Vec<_>>(),
        ["a:latest", "b:latest", "c:latest"]
    );
    assert!(image.last_tagged > tagged);
    assert!(store.image(&other).unwrap().tags.is_empty());
}

#[test]
fn a_scratch_directory_goes_with_its_value_and_with_the_process() {
    let dir = TempDir::new().unwrap();
    let store = Store::open(dir.path(), DriverChoice::Auto).unwrap();
    let (first, second) = (store.scratch().unwrap(), store.scratch().unwrap());
    fs::create_dir(first.path().join("a")).unwrap();
    let next = killed(dir.path());
    let there = || fs::read_dir(next.path().join("tmp")).unwrap().count();
    assert_eq!(there(), 2);
    drop(Store::open(next.path(), DriverChoice::Auto).unwrap());
    assert_eq!(there(), 0);
    let path = first.path().to_owned();
    drop(first);
    assert!(!path.exists() && second.path().exists());
}

#[test]
fn layers_are_stacked_anew() {
    let dir = TempDir::new().unwrap();
    let store = Store::open(dir.path(), DriverChoice::Auto).unwrap();
    let (first, second) = (layer(&store, dir.path(), &[], "a"), layer(&store, dir.path(), &[], "b"));
    let both = [second.layers(), first.layers()].concat();
    let held = store.restack(&both).unwrap();
    assert_eq!(held.layers(), both);
    assert!(store.restack(&[Digest::sha256(b"none")]).is_err());
}

/// Builds side by side: some steps are the same in all, some are not, and each lets go of all that it has made.
#[test]
fn what_one_build_lets_go_of_is_not_taken_from_another() {
    const BUILDS: usize = 4;
    const ROUNDS: usize = 40;
    let dir = TempDir::new().unwrap();
    let store = &Store::open(dir.path(), DriverChoice::Auto).unwrap();
    let dir = dir.path();
    let step = |build: usize, round: usize, below: &[Digest], name: &str| {
        let snapshot = format!("step-{build}-{round}-{name}");
        store.create_snapshot_on(&snapshot, below).unwrap();
        write(dir, &snapshot, name);
        let held = store.commit_layer(&snapshot, below, &[]);
        store.remove_snapshot(&snapshot).unwrap();
        held
    };
    std::thread::scope(|scope| {
        for build in 0..BUILDS {
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let first = step(build, round, &[], "same").unwrap();
                    let second = step(build, round, first.layers(), &format!("{build}")).unwrap();
                    let cached = store.hold(second.layers()).unwrap();
                    drop(second);
                    let turned: Vec<Digest> = cached.layers().iter().rev().cloned().collect();
                    let turned = store.restack(&turned).unwrap();
                    drop(cached);
                    drop(store.mount_layers(turned.layers(), "").unwrap());
                }
            });
        }
    });
}

/// Everything below a directory: path, kind and mode, owner, device, seconds, contents, opaqueness.
fn listing(dir: &Path) -> Vec<String> {
    fn below(dir: &Path, shown: &str, lines: &mut Vec<String>) {
        let mut entries: Vec<_> = fs::read_dir(dir).unwrap().map(Result::unwrap).collect();
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let (path, meta) = (entry.path(), entry.metadata().unwrap());
            let shown = format!("{shown}/{}", entry.file_name().display());
            let text = match meta.file_type() {
                kind if kind.is_file() => fs::read_to_string(&path).unwrap(),
                kind if kind.is_symlink() => fs::read_link(&path).unwrap().display().to_string(),
                _ => String::new(),
            };
            let mut value = [0_u8; 1];
            let opaque = rustix::fs::lgetxattr(&path, crate::layer::opaque(), &mut value[..]).is_ok();
            // when a mark was made is nobody's concern, and the kernel gives one many names
            let mark = meta.file_type().is_char_device() && meta.rdev() == 0;
            let time = if mark { 0 } else { meta.mtime() };
            let (uid, gid, links) =
                (meta.uid(), meta.gid(), if meta.is_dir() || mark { 0 } else { meta.nlink() });
            let mode = if mark { 0 } else { meta.mode() };
            lines
                .push(format!("{shown} {mode:o} {uid}:{gid} {links} {} {time} {opaque} {text}", meta.rdev()));
            if meta.is_dir() {
                below(&path, &shown, lines);
            }
        }
    }
    let mut lines = Vec::new();
    below(dir, "", &mut lines);
    lines
}

/// What is moved is what would have been packed and unpacked, and gives the same tar.
#[test]
fn a_layer_made_in_place_is_the_one_that_a_copy_makes() {
    let dir = TempDir::new().unwrap();
    let store = Store::open(dir.path(), DriverChoice::Auto).unwrap();
    let root = |snapshot: &str| {
        let mount = store.snapshot(snapshot).unwrap().mount().unwrap();
        let path = format!("/proc/self/fd/{}", mount.as_raw_fd());
        (mount, std::path::PathBuf::from(path))
    };
    store.create_snapshot_on("below", &[]).unwrap();
    let (mount, at) = root("below");
    for name in ["gone/a", "again/old", "again/kept", "again/deep/old", "touched/a", "mode/a", "moved/a"] {
        fs::create_dir_all(at.join(name).parent().unwrap()).unwrap();
        fs::write(at.join(name), name).unwrap();
    }
    for name in ["file", "dir-to-be", "removed"] {
        fs::write(at.join(name), name).unwrap();
    }
    drop(mount);
    let below = store.turn_into_layer("below", &[], &[]).unwrap();
    store.create_snapshot_on("step", below.layers()).unwrap();
    let (mount, at) = root("step");
    fs::remove_dir_all(at.join("gone")).unwrap();
    fs::remove_dir_all(at.join("again")).unwrap();
    fs::create_dir_all(at.join("again/deep")).unwrap();
    for name in ["again/new", "again/kept", "again/deep/new", "file", "with\nline", ".wh.mode", "touched/b"] {
        fs::write(at.join(name), name).unwrap();
    }
    fs::remove_file(at.join("touched/b")).unwrap();
    fs::remove_file(at.join("removed")).unwrap();
    fs::remove_file(at.join("dir-to-be")).unwrap();
    fs::create_dir_all(at.join("dir-to-be/deep/deeper")).unwrap();
    fs::set_permissions(at.join("mode"), fs::Permissions::from_mode(0o1700)).unwrap();
    fs::hard_link(at.join("file"), at.join("again/link")).unwrap();
    std::os::unix::fs::symlink("nowhere", at.join("again/symlink")).unwrap();
    std::os::unix::fs::chown(at.join("again/new"), Some(7), Some(8)).unwrap();
    drop(std::os::unix::net::UnixListener::bind(at.join("socket")).unwrap());
    rustix::fs::mknodat(rustix::fs::CWD, at.join("pipe"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    fs::create_dir_all(at.join("etc/place")).unwrap();
    fs::write(at.join("etc/hosts"), "").unwrap();
    fs::create_dir(at.join("own")).unwrap();
    drop((mount, at));
    let scaffold = ["/etc/hosts", "/etc/place"];
    let made = |held: &Hold| {
        let layer = dir.path().join("layers").join(held.layers().last().unwrap().hex());
        let mut tar = Vec::new();
        crate::layer::assemble_into(&layer, &mut tar).unwrap();
        (held.layers().to_vec(), listing(&layer.join("diff")), Digest::sha256(&tar))
    };
    let copied = store.commit_layer("step", below.layers(), &scaffold).unwrap();
    let expected = made(&copied);
    drop(copied);
    let moved = made(&store.turn_into_layer("step", below.layers(), &scaffold).unwrap());
    assert_eq!(moved, expected);
    assert_eq!(Some(&moved.2), moved.0.last(), "the tar is put together again");
    let has = |name: &str| moved.1.iter().any(|line| line.starts_with(&format!("{name} ")));
    assert!(has("/own") && has("/again/deep/new") && has("/removed"), "{:#?}", moved.1);
    assert!(!has("/etc") && !has("/socket") && !has("/touched") && !has("/.wh.mode"), "{:#?}", moved.1);
}

/// Whatever layers hide of each other, one layer in their place shows the same.
#[test]
fn several_layers_become_one() {
    let dir = TempDir::new().unwrap();
    let store = Store::open(dir.path(), DriverChoice::Auto).unwrap();
    let base = Tar::new()
        .dir("keep", 0o755)
        .file("keep/a", b"a")
        .file("keep/b", b"b")
        .dir("gone", 0o755)
        .dir("gone/deep", 0o755)
        .file("gone/deep/x", b"x")
        .dir("opaque", 0o755)
        .file("opaque/old", b"old")
        .dir("turned", 0o755)
        .file("turned/below", b"below")
        .file("file", b"file")
        .end();
    let first = Tar::new()
        .dir("keep", 0o700)
        .file("keep/.wh.a", b"")
        .file("keep/c", b"c")
        .file("temporary", b"t")
        .dir("opaque", 0o755)
        .file("opaque/.wh..wh..opq", b"")
        .file("opaque/new", b"new")
        .file("turned", b"a file")
        .file(".wh.file", b"")
        .link("one", EntryType::Symlink, "keep/b")
        .end();
    let second = Tar::new()
        .file(".wh.temporary", b"")
        .file(".wh.gone", b"")
        .dir("turned", 0o711)
        .file("turned/above", b"above")
        .file("file", b"another")
        .file("opaque/new", b"newer")
        .end();
    let third = Tar::new().dir("gone", 0o755).file("gone/again", b"again").file("void", b"").end();
    let fourth = Tar::new().file(".wh.void", b"").end();
    let layers = [&base, &first, &second, &third, &fourth].map(Vec::as_slice);
    store.load(&mut docker_archive(&["stack:1"], &layers).as_slice(), &|_| ()).unwrap();
    let whole: Vec<Digest> = layers.iter().map(|layer| Digest::sha256(layer)).collect();
    let shown = |layers: &[Digest]| {
        let mount = store.mount_layers(layers, "").unwrap();
        listing(Path::new(&format!("/proc/self/fd/{}", mount.as_raw_fd())))
    };
    let all = shown(&whole);
    let has = |lines: &[String], name: &str| lines.iter().any(|line| line.starts_with(&format!("/{name} ")));
    assert!(has(&all, "turned/above") && has(&all, "gone/again") && !has(&all, "turned/below"), "{all:#?}");
    for kept in 0..=whole.len() {
        let held = store.squash(&whole, kept).unwrap();
        let one = usize::from(kept < whole.len());
        assert_eq!(held.layers().len(), kept + one);
        assert_eq!(held.layers()[..kept], whole[..kept]);
        assert_eq!(shown(held.layers()), all, "above {kept}");
        // the same work is the same layer
        assert_eq!(store.squash(&whole, kept).unwrap().layers(), held.layers());
    }
    let held = store.squash(&whole, 1).unwrap();
    let key = store.keys(held.layers()).unwrap().pop().unwrap();
    let own = listing(&dir.path().join("layers").join(key).join("diff"));
    for mark in ["keep/a", "opaque/old", "gone/deep", "turned/below"] {
        let there = own.iter().any(|line| line.starts_with(&format!("/{mark} 0 ")));
        assert!(there, "no mark of {mark}: {own:#?}");
    }
    assert!(!has(&own, "temporary") && !has(&own, "void") && !has(&own, "keep/b"), "{own:#?}");
}
