mod crowd;
mod killed;

use std::path::Path;
use std::sync::{Arc, Mutex};

use oci::{Descriptor, Digest, Reference, media_type};

use crate::testing::{Tar, assert_empty, config, gzip, layer, list, store, zstd};
use crate::{
    Claim, DriverChoice, Error, Finished, Ingest, LayerNews, Listener, Pull, PullRequest, RawDocument, Store,
};

/// An image as a registry has it.
pub(crate) struct Remote {
    pub(crate) config: Vec<u8>,
    pub(crate) manifest: Vec<u8>,
    pub(crate) blobs: Vec<Vec<u8>>,
}

impl Remote {
    pub(crate) fn new(tars: &[&[u8]], blobs: Vec<(&str, Vec<u8>)>) -> Self {
        let config = config(tars);
        let descriptor =
            |kind: &str, bytes: &[u8]| Descriptor::new(kind, Digest::sha256(bytes), bytes.len() as u64);
        let layers: Vec<Descriptor> = blobs.iter().map(|(kind, blob)| descriptor(kind, blob)).collect();
        let manifest = serde_json::json!({
            "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST,
            "config": descriptor(media_type::OCI_CONFIG, &config), "layers": layers,
        });
        let blobs = blobs.into_iter().map(|(_, blob)| blob).collect();
        Self { config, manifest: manifest.to_string().into_bytes(), blobs }
    }

    pub(crate) fn gzip(tars: &[&[u8]]) -> Self {
        Self::new(tars, tars.iter().map(|tar| (media_type::OCI_LAYER_GZIP, gzip(tar))).collect())
    }

    pub(crate) fn request(&self, name: &str) -> PullRequest {
        PullRequest {
            name: Reference::parse(name).unwrap(),
            config: self.config.clone(),
            manifest: RawDocument {
                media_type: media_type::OCI_MANIFEST.into(),
                bytes: self.manifest.clone(),
            },
            indexes: Vec::new(),
            companions: Vec::new(),
            attachments: Vec::new(),
        }
    }

    /// Fetches everything that isn't there, and commits.
    pub(crate) fn pull(&self, store: &Store, name: &str) -> crate::Result<Digest> {
        let pull = store.pull(self.request(name))?;
        for position in 0..self.blobs.len() {
            self.fetch(&pull, position)?;
        }
        pull.commit(&|_| ())
    }

    /// Bytes that had to be fetched.
    pub(crate) fn fetch(&self, pull: &Pull, position: usize) -> crate::Result<u64> {
        let mut fetched = 0;
        let mut ingest = match pull.claim(position, quiet())? {
            Claim::Ours(ingest) => ingest,
            Claim::Present => return Ok(0),
            Claim::Theirs(_) => panic!("nobody else is here"),
        };
        loop {
            fetched += fill(&ingest, &self.blobs[position])?;
            match ingest.finish()? {
                Finished::Done => return Ok(fetched),
                Finished::Again(again) => ingest = again,
            }
        }
    }
}

fn quiet() -> Listener {
    Arc::new(|_| ())
}

fn fill(ingest: &Ingest, blob: &[u8]) -> crate::Result<u64> {
    let mut count = 0;
    for range in ingest.missing() {
        count += range.end - range.start;
        ingest.write_at(range.start, &blob[range.start as usize..range.end as usize])?;
    }
    Ok(count)
}

fn ours(pull: &Pull, position: usize) -> Box<Ingest> {
    match pull.claim(position, quiet()).unwrap() {
        Claim::Ours(ingest) => ingest,
        Claim::Present | Claim::Theirs(_) => panic!("layer {position} is not ours"),
    }
}

fn noise(length: usize) -> Vec<u8> {
    let mut state = 7_u64;
    let next = |_| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 56) as u8
    };
    (0..length).map(next).collect()
}

#[test]
fn all_kinds_of_layers_and_names() {
    let (dir, store) = store();
    let tars = [layer(&[("a", "1")]), Tar::new().file("x/implied", b"2").end(), layer(&[("c", "3")])];
    let tars: Vec<&[u8]> = tars.iter().map(Vec::as_slice).collect();
    let remote = Remote::new(
        &tars,
        vec![
            (media_type::DOCKER_LAYER_GZIP, gzip(tars[0])),
            (media_type::OCI_LAYER_ZSTD, zstd(tars[1])),
            (media_type::OCI_FOREIGN_LAYER, tars[2].to_vec()),
        ],
    );
    let id = remote.pull(&store, "reg.example:5000/a/b:1").unwrap();
    assert_eq!(id, Digest::sha256(&remote.config));
    let pinned = format!("reg.example:5000/a/b@{}", Digest::sha256(&remote.manifest));
    for name in ["reg.example:5000/a/b:1", &pinned] {
        assert_eq!(store.resolve(name).unwrap(), id, "{name}");
    }
    let image = store.image(&id).unwrap();
    assert_eq!((image.tags.len(), image.digests[0].to_string()), (1, pinned));
    let kept = store.manifests(&id).unwrap();
    assert_eq!(store.document(&kept[0].manifest.digest).unwrap(), remote.manifest);
    assert_eq!(kept[0].repositories, ["reg.example:5000/a/b"]);
    store.create_snapshot("c", &id, None).unwrap().mount().unwrap();
    let path = dir.path().join("store");
    assert!(list(&path.join("ingest")).is_empty());
    // everything is known again
    drop(store);
    let store = Store::open(&path, DriverChoice::Auto).unwrap();
    assert_eq!(store.manifests(&id).unwrap(), kept);
    let again = store.pull(remote.request("other.example/x:2")).unwrap();
    assert!(again.layers().iter().all(|layer| layer.present));
    again.commit(&|_| ()).unwrap();
    drop(again);
    assert_eq!(store.manifests(&id).unwrap()[0].repositories, ["reg.example:5000/a/b", "other.example/x"]);
    store.remove_snapshot("c").unwrap();
    let options = crate::RemoveOptions { force: true, prune: true };
    store.remove(id.as_str(), options, &|_| Vec::new()).unwrap();
    assert_empty(&dir);
}

#[test]
fn what_a_registry_may_not_say() {
    let (dir, store) = store();
    let tar = layer(&[("a", "1")]);
    let other = layer(&[("b", "2")]);
    // a manifest for a config of two layers
    let short = Remote::new(&[&tar, &other], vec![(media_type::OCI_LAYER, tar.clone())]);
    assert!(matches!(short.pull(&store, "x"), Err(Error::Document(_))));
    // no image at all
    let chart =
        Remote::new(&[&tar], vec![("application/vnd.cncf.helm.chart.content.v1.tar+gzip", tar.clone())]);
    let error = chart.pull(&store, "x").unwrap_err().to_string();
    assert!(error.contains("helm.chart") && error.contains("not an image"), "{error}");
    // another config
    let mut request = Remote::gzip(&[&tar]).request("x");
    request.config.push(b' ');
    assert!(matches!(store.pull(request), Err(Error::DigestMismatch { .. })));
    // another digest than was asked for
    let asked = format!("x@{}", Digest::sha256(b"else"));
    assert!(matches!(store.pull(Remote::gzip(&[&tar]).request(&asked)), Err(Error::DigestMismatch { .. })));
    // an index that doesn't list it
    let mut request = Remote::gzip(&[&tar]).request("x");
    let bytes = br#"{"schemaVersion":2,"manifests":[]}"#.to_vec();
    request.indexes.push(RawDocument { media_type: media_type::OCI_INDEX.into(), bytes });
    assert!(store.pull(request).unwrap_err().to_string().contains("does not list"));
    // a blob that is the right one for the manifest, and the wrong one for the config
    let lying = Remote::new(&[&tar], vec![(media_type::OCI_LAYER_GZIP, gzip(&other))]);
    let error = lying.pull(&store, "x").unwrap_err();
    assert!(error.to_string().contains("wrong diffID"), "{error}");
    // garbage with the right digest
    let garbage = Remote::new(&[&tar], vec![(media_type::OCI_LAYER_GZIP, gzip(&tar)[..30].to_vec())]);
    let error = garbage.pull(&store, "x").unwrap_err();
    assert!(error.to_string().contains("unexpected end"), "{error}");
    assert_empty(&dir);
    for name in ["ingest", "tmp"] {
        assert!(list(&dir.path().join("store").join(name)).is_empty(), "{name}");
    }
}

#[test]
fn a_wrong_digest_and_too_many_bytes() {
    let (dir, store) = store();
    let tar = layer(&[("a", "1")]);
    let remote = Remote::gzip(&[&tar]);
    let pull = store.pull(remote.request("x")).unwrap();
    let ingest = ours(&pull, 0);
    let mut blob = remote.blobs[0].clone();
    assert!(matches!(ingest.write_at(blob.len() as u64, b"x"), Err(Error::Limit { .. })));
    assert!(matches!(ingest.write_at(u64::MAX, b"x"), Err(Error::Limit { .. })));
    *blob.last_mut().unwrap() ^= 1;
    fill(&ingest, &blob).unwrap();
    let Err(error) = ingest.finish() else { panic!("it was accepted") };
    assert!(error.to_string().contains("expected digest"), "{error}");
    assert!(matches!(pull.commit(&|_| ()), Err(Error::Damaged(_))));
    drop(pull);
    assert!(list(&dir.path().join("store/ingest")).is_empty());
    assert_empty(&dir);
}

#[test]
fn bytes_in_any_order_from_several_threads() {
    let (_dir, store) = store();
    let tar = layer_of(&noise(3 << 20));
    let remote = Remote::gzip(&[&tar]);
    let pull = store.pull(remote.request("x")).unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let to = heard.clone();
    let listener: Listener = Arc::new(move |news: &LayerNews| to.lock().unwrap().push(news.clone()));
    let Claim::Ours(ingest) = pull.claim(0, listener).unwrap() else { panic!("not ours") };
    std::thread::scope(|scope| {
        for part in (0..4).rev() {
            let (writer, blob) = (ingest.writer(), &remote.blobs[0]);
            scope.spawn(move || {
                for (n, piece) in blob.chunks(100_000).enumerate().filter(|(n, _)| n % 4 == part) {
                    writer.write_at(n as u64 * 100_000, piece).unwrap();
                }
            });
        }
    });
    assert!(ingest.missing().is_empty());
    assert!(matches!(ingest.finish().unwrap(), Finished::Done));
    let total = remote.blobs[0].len() as u64;
    let heard = heard.lock().unwrap();
    assert!(heard.contains(&LayerNews::Downloaded { current: total, total }));
    assert!(heard.contains(&LayerNews::Extracted { current: total, total }));
    assert_eq!(heard.last(), Some(&LayerNews::Ended));
    pull.commit(&|_| ()).unwrap();
}

fn layer_of(content: &[u8]) -> Vec<u8> {
    Tar::new().file("f", content).end()
}

#[test]
fn two_pulls_share_a_blob_and_the_second_takes_over() {
    let (_dir, store) = store();
    let tar = layer_of(&noise(1 << 20));
    let remote = Remote::gzip(&[&tar]);
    let first = store.pull(remote.request("x:1")).unwrap();
    let second = store.pull(remote.request("x:2")).unwrap();
    let ingest = ours(&first, 0);
    let half = 512 << 10;
    ingest.write_at(0, &remote.blobs[0][..half]).unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let to = heard.clone();
    let listener: Listener = Arc::new(move |news: &LayerNews| to.lock().unwrap().push(news.clone()));
    let Claim::Theirs(waiter) = second.claim(0, listener).unwrap() else { panic!("ours, too") };
    // it hears at once how far the first one is
    let so_far = LayerNews::Downloaded { current: half as u64, total: remote.blobs[0].len() as u64 };
    assert_eq!(heard.lock().unwrap().first(), Some(&so_far));
    ingest.abort(true);
    waiter.wait();
    // what the first had is there
    assert!(remote.fetch(&second, 0).unwrap() <= (remote.blobs[0].len() - half) as u64 + (64 << 10));
    assert!(heard.lock().unwrap().contains(&LayerNews::Ended));
    // and the first has it from the second
    assert!(matches!(first.claim(0, quiet()).unwrap(), Claim::Present));
    let id = second.commit(&|_| ()).unwrap();
    drop(second);
    let options = crate::RemoveOptions { force: true, prune: true };
    store.remove(id.as_str(), options, &|_| Vec::new()).unwrap();
    assert_eq!(first.commit(&|_| ()).unwrap(), id);
    drop(first);
    store.save(&["x:1".into()], &mut Vec::new()).unwrap();
}

#[test]
fn an_interrupted_pull_goes_on() {
    let (dir, store) = store();
    let path = dir.path().join("store");
    let tars = [layer_of(&noise(2 << 20)), layer_of(b"small")];
    let remote = Remote::gzip(&[&tars[0], &tars[1]]);
    {
        let pull = store.pull(remote.request("x")).unwrap();
        remote.fetch(&pull, 1).unwrap();
        let ingest = ours(&pull, 0);
        ingest.write_at(0, &remote.blobs[0][..1 << 20]).unwrap();
    }
    drop(store);
    let store = Store::open(&path, DriverChoice::Auto).unwrap();
    assert!(store.images().is_empty());
    let pull = store.pull(remote.request("x")).unwrap();
    let present: Vec<bool> = pull.layers().iter().map(|layer| layer.present).collect();
    assert_eq!(present, [false, true]);
    let missing = remote.blobs[0].len() as u64 - (1 << 20);
    let fetched = remote.fetch(&pull, 0).unwrap();
    assert!(fetched >= missing && fetched <= missing + (64 << 10), "{fetched}");
    pull.commit(&|_| ()).unwrap();
    assert!(list(&path.join("ingest")).is_empty());
}

#[test]
fn what_is_left_may_be_wrong_once() {
    let (dir, store) = store();
    let remote = Remote::gzip(&[&layer_of(&noise(1 << 20))]);
    let blob = &remote.blobs[0];
    let file = dir.path().join("store/ingest").join(Digest::sha256(blob).hex());
    std::fs::write(&file, vec![7; 300_000]).unwrap();
    let pull = store.pull(remote.request("x")).unwrap();
    assert!(remote.fetch(&pull, 0).unwrap() > blob.len() as u64);
    drop(pull);
    // longer than the blob: of no use at all
    store.drop_leftovers().unwrap();
    std::fs::write(&file, vec![7; 3 << 20]).unwrap();
    let pull = store.pull(remote.request("x")).unwrap();
    assert_eq!(remote.fetch(&pull, 0).unwrap(), blob.len() as u64);
}

#[test]
fn leftovers_go_with_a_prune_and_with_age() {
    let (dir, store) = store();
    let path = dir.path().join("store");
    let remote = Remote::gzip(&[&layer_of(&noise(1 << 20)), &layer_of(b"small")]);
    let pull = store.pull(remote.request("x")).unwrap();
    remote.fetch(&pull, 1).unwrap();
    let ingest = ours(&pull, 0);
    ingest.write_at(0, &remote.blobs[0][..500_000]).unwrap();
    // in use: both stay
    assert_eq!(store.drop_leftovers().unwrap().count, 0);
    drop(ingest);
    drop(pull);
    let foretold = store.leftovers().unwrap();
    let dropped = store.drop_leftovers().unwrap();
    assert_eq!(dropped, foretold);
    assert_eq!(dropped.count, 2);
    assert!(dropped.bytes > 500_000);
    let left = |path: &Path| list(&path.join("ingest")).len() + list(&boot(path)).len();
    assert_eq!(left(&path), 0);
    // old ones
    let pull = store.pull(remote.request("x")).unwrap();
    remote.fetch(&pull, 1).unwrap();
    ours(&pull, 0).write_at(0, &remote.blobs[0][..500_000]).unwrap();
    drop(pull);
    drop(store);
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(8 * 24 * 60 * 60);
    for dir in [path.join("ingest"), boot(&path)] {
        let name = list(&dir).remove(0);
        std::fs::File::open(dir.join(name)).unwrap().set_modified(old).unwrap();
    }
    assert_eq!(left(&path), 2);
    drop(Store::open(&path, DriverChoice::Auto).unwrap());
    assert_eq!(left(&path), 0);
}

#[test]
fn a_blob_of_a_layer_that_is_here_is_not_kept() {
    let (dir, store) = store();
    let path = dir.path().join("store");
    let remote = Remote::gzip(&[&layer_of(b"in place"), &layer_of(b"waiting")]);
    Remote::gzip(&[&layer_of(b"in place")]).pull(&store, "x").unwrap();
    let pull = store.pull(remote.request("y")).unwrap();
    remote.fetch(&pull, 1).unwrap();
    drop((pull, store));
    // as if killed before they were removed, and one that is nobody's
    for name in remote.blobs.iter().map(|blob| Digest::sha256(blob).hex().to_owned()).chain(["x".into()]) {
        std::fs::write(path.join("ingest").join(name), "left").unwrap();
    }
    let unknown = Digest::sha256(b"unknown");
    std::fs::write(path.join("ingest").join(unknown.hex()), "left").unwrap();
    let _store = Store::open(&path, DriverChoice::Auto).unwrap();
    assert_eq!(list(&path.join("ingest")), [unknown.hex()]);
}

#[test]
fn a_layer_that_swells_beyond_the_limit() {
    let dir = tempfile::tempdir().unwrap();
    let mut limits = crate::limits::Limits::default();
    limits.tar.bytes = 1 << 20;
    let path = dir.path().join("store");
    let store = Store::open_with(&path, DriverChoice::Auto, limits, &[]).unwrap();
    for compress in [gzip, zstd] {
        let tar = layer_of(&vec![0; 64 << 20]);
        let remote = Remote::new(&[&tar], vec![(media_type::OCI_LAYER, compress(&tar))]);
        let error = remote.pull(&store, "x").unwrap_err().to_string();
        assert!(error.contains("exceeds the limit of 1048576"), "{error}");
    }
    // and one that says so
    let tar = layer_of(&noise(2 << 20));
    let remote = Remote::new(&[&tar], vec![(media_type::OCI_LAYER, tar.clone())]);
    assert!(matches!(store.pull(remote.request("x")), Err(Error::Limit { .. })));
    store.wait_for_trash();
    assert!(list(&path.join("tmp")).is_empty() && list(&path.join("ingest")).is_empty());
}

#[test]
fn a_full_disk_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("small");
    std::fs::create_dir(&path).unwrap();
    let mount = crate::testing::Tmpfs::new(&path, "size=2m");
    let path = path.join("store");
    // Once the blob has no room, once what it unpacks to.
    for remote in [Remote::gzip(&[&layer_of(&noise(3 << 20))]), Remote::gzip(&[&layer_of(&vec![0; 4 << 20])])]
    {
        let store = Store::open(&path, DriverChoice::Auto).unwrap();
        let pull = store.pull(remote.request("x")).unwrap();
        let ingest = ours(&pull, 0);
        // As a client does: it stops, and asks for the reason.
        let _ = fill(&ingest, &remote.blobs[0]);
        let Err(error) = ingest.finish() else { panic!("it had room") };
        assert_eq!(error.kind(), crate::ErrorKind::NoSpace, "{error}");
        drop(pull);
        store.wait_for_trash();
        for name in ["ingest", "tmp", "layers"] {
            assert!(list(&path.join(name)).is_empty(), "{name}");
        }
        assert!(list(&boot(&path)).is_empty());
    }
    drop(mount);
}

fn boot(path: &Path) -> std::path::PathBuf {
    let pulled = path.join("pulled");
    pulled.join(list(&pulled).remove(0))
}
