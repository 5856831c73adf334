//! A process that works on a store is killed at any moment: what is left can be used, adds up, and is gone on with.

use std::collections::HashSet;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use oci::Digest;

use super::{Remote, layer_of, noise};
use crate::testing::{Tmpfs, docker_archive, list};
use crate::{DriverChoice, RemoveOptions, Store};

/// Where the child finds its store, and where it begins; not set in a normal run.
const CHILD: &str = "BERTH_STORE_TEST_PULLS";
const FORCE: RemoveOptions = RemoveOptions { force: true, prune: true };
/// What the last piece of an extent costs, and of a blob that was just opened.
const SLACK: u64 = 2 * (64 << 10);
const ROUNDS: u32 = 200;

/// Two images that share a layer, one of whose layers leaves out a directory.
fn remotes() -> [Remote; 2] {
    let shared = layer_of(&noise(400_000));
    let implied = crate::testing::Tar::new().file("some/where/f", b"x").end();
    let own = layer_of(&noise(200_000)[1..]);
    [Remote::gzip(&[&shared, &implied]), Remote::gzip(&[&shared, &own, &implied])]
}

fn archive() -> Vec<u8> {
    docker_archive(&["loaded:1"], &[&layer_of(&noise(400_000)), &layer_of(b"loaded")])
}

/// Does everything again and again until it is killed.
#[test]
fn child_that_pulls_and_is_killed() {
    let Some(task) = std::env::var_os(CHILD) else { return };
    let task = task.into_string().unwrap();
    let (first, path) = task.split_once(' ').unwrap();
    let (remotes, archive) = (remotes(), archive());
    let store = Store::open(Path::new(path), DriverChoice::Auto).unwrap();
    println!("open");
    let remove = |name: &str| drop(store.remove(name, FORCE, &|_| Vec::new()));
    for step in first.parse::<usize>().unwrap().. {
        match step % 8 {
            0 => drop(remotes[0].pull(&store, "a:1").unwrap()),
            1 => drop(store.load(&mut &archive[..], &|_| ()).unwrap()),
            2 => drop(remotes[1].pull(&store, "b:1").unwrap()),
            3 => push(&store, "a:1"),
            4 => remove("a:1"),
            5 => remove("loaded:1"),
            6 => drop(store.drop_leftovers().unwrap()),
            _ => remove("b:1"),
        }
    }
}

fn push(store: &Store, name: &str) {
    let Ok(id) = store.resolve(name) else { return };
    let plan = store.push_plan(&id).unwrap();
    let blobs: Vec<_> = (0..plan.layers.len())
        .map(|position| {
            let mut compressing = plan.compress(position).unwrap();
            while compressing.next_chunk().unwrap().is_some() {}
            compressing.finish().unwrap()
        })
        .collect();
    let manifest = plan.manifest(&blobs).unwrap();
    let name = oci::Reference::parse("pushed/to").unwrap();
    plan.pushed(&name, crate::Pushed::New(manifest), &blobs).unwrap();
}

fn spawn(path: &Path, first: u32) -> Child {
    let task = format!("{first} {}", path.display());
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "pull::tests::killed::child_that_pulls_and_is_killed",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(CHILD, task)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn killed_at_any_moment_of_pull_load_push_and_remove() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    // In memory, the processes come further before they are killed, and nobody waits for a disk.
    let _memory = Tmpfs::new(dir.path(), "size=256m");
    let remotes = remotes();
    let mut random = 1_u64;
    let mut interrupted = 0;
    for round in 0..ROUNDS {
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let mut child = spawn(&path, round % 8);
        let mut output = child.stdout.take().unwrap();
        let mut seen = String::new();
        while !seen.contains("open\n") {
            let mut byte = [0];
            assert_eq!(output.read(&mut byte).unwrap(), 1, "{seen}");
            seen.push(byte[0].into());
        }
        // The moment is what the test is about.
        let exited = rustix::event::PollFd::new(&output, rustix::event::PollFlags::ERR);
        let micros = (random >> 33) % 30_000;
        let wait = rustix::event::Timespec { tv_sec: 0, tv_nsec: micros as i64 * 1000 };
        rustix::event::poll(&mut [exited], Some(&wait)).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        output.read_to_string(&mut seen).unwrap();
        assert!(!seen.contains("panicked"), "{seen}");
        check(&path);
        interrupted += usize::from(!list(&path.join("ingest")).is_empty());
        if round % 8 == 7 {
            goes_on(&path, &remotes);
        }
    }
    // Some of the moments were in the middle of a blob.
    assert!(interrupted > 0);
    let store = Store::open(&path, DriverChoice::Auto).unwrap();
    for image in store.images() {
        store.remove(image.id.as_str(), FORCE, &|_| Vec::new()).unwrap();
    }
    store.drop_leftovers().unwrap();
    drop(store);
    crate::testing::assert_empty(&dir);
    assert!(list(&path.join("ingest")).is_empty());
}

/// Everything that is there can be used, nothing else is there, and it adds up.
fn check(path: &Path) {
    let store = Store::open(path, DriverChoice::Auto).unwrap();
    assert!(list(&path.join("tmp")).is_empty());
    let mut documents = HashSet::new();
    for image in store.images() {
        store.save(&[image.id.to_string()], &mut std::io::sink()).unwrap();
        documents.insert(image.id.hex().to_owned());
        for kept in store.manifests(&image.id).unwrap() {
            for digest in kept.documents() {
                store.document(digest).unwrap();
                documents.insert(digest.hex().to_owned());
            }
        }
    }
    let blobs: HashSet<String> = list(&path.join("blobs/sha256")).into_iter().collect();
    assert_eq!(blobs, documents);
    store.wait_for_trash();
    let accounts = store.accounts().unwrap();
    assert_eq!(accounts.images_total() + accounts.rest(), sys::usage::of(path).unwrap());
}

/// The same pulls come to an end, and fetch no more than what is missing.
fn goes_on(path: &Path, remotes: &[Remote; 2]) {
    let store = Store::open(path, DriverChoice::Auto).unwrap();
    for (remote, name) in remotes.iter().zip(["a:1", "b:1"]) {
        let pull = store.pull(remote.request(name)).unwrap();
        for (position, layer) in pull.layers().iter().enumerate() {
            let file = path.join("ingest").join(layer.descriptor.digest.hex());
            let there = std::fs::metadata(file).map_or(0, |meta| meta.blocks() * 512);
            let missing = layer.descriptor.size.saturating_sub(there) + SLACK.min(layer.descriptor.size);
            let fetched = remote.fetch(&pull, position).unwrap();
            assert!(fetched <= if layer.present { 0 } else { missing }, "{fetched} {there} {layer:?}");
        }
        let id = pull.commit(&|_| ()).unwrap();
        assert_eq!(id, Digest::sha256(&remote.config));
    }
    assert!(list(&path.join("ingest")).is_empty());
}
