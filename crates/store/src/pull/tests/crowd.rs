//! Many pulls, loads and removals of the same images at once.

use crate::testing::{Tar, assert_empty, docker_archive, list, store};
use crate::{Claim, Finished, Pull, RemoveOptions, Store};

use super::{Remote, layer_of, noise, quiet};

const FORCE: RemoveOptions = RemoveOptions { force: true, prune: true };
const THREADS: usize = 6;
const TURNS: usize = 15;

/// Brings a layer in, whoever else does so; every now and then gives up in the middle first.
fn fetch(remote: &Remote, pull: &Pull, position: usize, gives_up: bool) -> crate::Result<()> {
    let blob = &remote.blobs[position];
    let mut gives_up = gives_up;
    loop {
        let mut ingest = match pull.claim(position, quiet())? {
            Claim::Present => return Ok(()),
            Claim::Theirs(waiter) => {
                waiter.wait();
                continue;
            }
            Claim::Ours(ingest) => ingest,
        };
        if std::mem::take(&mut gives_up) {
            ingest.write_at(0, &blob[..blob.len() / 2])?;
            ingest.abort(position.is_multiple_of(2));
            continue;
        }
        loop {
            for range in ingest.missing() {
                ingest.write_at(range.start, &blob[range.start as usize..range.end as usize])?;
            }
            match ingest.finish()? {
                Finished::Done => break,
                Finished::Again(again) => ingest = again,
            }
        }
    }
}

fn work(store: &Store, remotes: &[Remote], archive: &[u8], me: usize) {
    for turn in 0..TURNS {
        let which = (me + turn) % (remotes.len() + 1);
        let name = format!("t{me}:{turn}");
        let Some(remote) = remotes.get(which) else {
            store.load(&mut &*archive, &|_| ()).unwrap();
            // Another thread may have been faster.
            let _ = store.remove("loaded:1", FORCE, &|_| Vec::new());
            continue;
        };
        let pull = store.pull(remote.request(&name)).unwrap();
        for position in 0..remote.blobs.len() {
            fetch(remote, &pull, position, turn % 5 == me % 5).unwrap();
        }
        let id = pull.commit(&|_| ()).unwrap();
        drop(pull);
        // Removed by its id, or by another thread meanwhile.
        match store.resolve(&name) {
            Ok(found) => assert_eq!(found, id),
            Err(error) => assert!(error.to_string().contains("No such image"), "{error}"),
        }
        if turn % 3 == 0 {
            store.drop_leftovers().unwrap();
        }
        let what = if turn % 2 == 0 { name } else { id.to_string() };
        let _ = store.remove(&what, FORCE, &|_| Vec::new());
    }
}

#[test]
fn many_at_once() {
    let (dir, store) = store();
    let shared = layer_of(&noise(200_000));
    let implied = Tar::new().file("some/where/f", b"x").end();
    let own = layer_of(b"own");
    let remotes = [
        Remote::gzip(&[&shared, &implied]),
        Remote::gzip(&[&shared, &own, &implied]),
        Remote::gzip(&[&own, &implied, &shared]),
    ];
    let archive = docker_archive(&["loaded:1"], &[&shared, &implied]);
    std::thread::scope(|scope| {
        for me in 0..THREADS {
            let (store, remotes, archive) = (&store, &remotes, &archive);
            scope.spawn(move || work(store, remotes, archive, me));
        }
    });
    for image in store.images() {
        store.save(&[image.id.to_string()], &mut std::io::sink()).unwrap();
        store.remove(image.id.as_str(), FORCE, &|_| Vec::new()).unwrap();
    }
    store.drop_leftovers().unwrap();
    assert_empty(&dir);
    assert!(list(&dir.path().join("store/ingest")).is_empty());
    let state = store.inner().lock();
    assert!(state.layers.is_empty() && state.pulled.is_empty() && state.refs.is_empty());
}
