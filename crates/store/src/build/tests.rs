use std::fs;
use std::io::Write as _;
use std::path::Path;

use oci::image::RootFs;
use oci::{Image, ImageConfig};
use tempfile::TempDir;

use super::*;
use crate::DriverChoice;

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
fn an_image_of_layers_makes_them_durable_and_keeps_them() {
    let dir = TempDir::new().unwrap();
    let store = Store::open(dir.path(), DriverChoice::Auto).unwrap();
    let held = layer(&store, dir.path(), &[], "a");
    let rootfs = RootFs { diff_ids: held.layers().to_vec(), ..RootFs::default() };
    let image = Image::encode(&ImageConfig { rootfs, ..ImageConfig::default() }).unwrap();
    let id = store.create_image(image, Vec::new(), &|_| ()).unwrap();
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
        store.create_image(image.clone(), names, &progress).unwrap()
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
                    drop(store.mount_layers(turned.layers()).unwrap());
                }
            });
        }
    });
}
