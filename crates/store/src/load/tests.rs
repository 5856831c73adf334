use std::collections::BTreeSet;
use std::fs;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::{Barrier, Mutex};

use oci::{Digest, Reference};
use tar::EntryType;

use crate::testing::{
    Tar, assert_empty, blob, bzip2, config, docker_archive, gzip, layer, list, store, xz, zstd,
};
use crate::{DriverChoice, Error, Loaded, Progress, Result, Store};

fn load(store: &Store, archive: &[u8]) -> Result<Vec<Loaded>> {
    store.load(&mut Cursor::new(archive), &|_| ())
}

fn save(store: &Store, name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    store.save(&[name.to_owned()], &mut out).unwrap();
    out
}

/// A stream that can't seek and gives a few bytes at a time, as a request's body does.
struct Trickle<'a>(&'a [u8], usize);

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = buffer.len().min(self.1).min(self.0.len());
        buffer[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

fn two_layers() -> (Vec<u8>, Vec<u8>) {
    let lower = Tar::new().dir("etc", 0o755).file("etc/a", b"lower").file("etc/b", b"gone").end();
    let upper = Tar::new().dir("etc", 0o700).file("etc/.wh.b", b"").file("etc/a", b"upper").end();
    (lower, upper)
}

fn oci_archive(index: &serde_json::Value, blobs: &[&[u8]]) -> Vec<u8> {
    blobs
        .iter()
        .fold(Tar::new().file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#), |tar, bytes| {
            tar.entry(&blob(bytes), EntryType::Regular, bytes, |_| ())
        })
        .file("index.json", index.to_string().as_bytes())
        .end()
}

fn descriptor(media_type: &str, bytes: &[u8]) -> serde_json::Value {
    serde_json::json!({"mediaType": media_type, "digest": Digest::sha256(bytes), "size": bytes.len()})
}

/// Images saved by real Docker, where this machine has them.
const REAL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/images");

fn manifest(config: &[u8], layers: &[&[u8]]) -> Vec<u8> {
    let layers: Vec<_> = layers.iter().map(|l| descriptor(oci::media_type::OCI_LAYER_GZIP, l)).collect();
    let config = descriptor(oci::media_type::OCI_CONFIG, config);
    serde_json::json!({"schemaVersion": 2, "config": config, "layers": layers}).to_string().into_bytes()
}

#[test]
fn real_images_come_back_byte_by_byte() {
    let images = Path::new(REAL);
    let names = ["alpine-3.20.docker-save.tar", "busybox.docker-save.tar", "hello-world.docker-save.tar"];
    let mut archives: Vec<Vec<u8>> =
        names.iter().filter_map(|name| fs::read(images.join(name)).ok()).collect();
    if archives.is_empty() {
        // Without the real ones, what this store saves must be what it saves again.
        let (dir, other) = store();
        let (lower, upper) = two_layers();
        load(&other, &docker_archive(&["self:made"], &[&lower, &upper])).unwrap();
        archives.push(save(&other, "self:made"));
        drop(dir);
    }
    for archive in archives {
        let (_dir, store) = store();
        let loaded = load(&store, &archive).unwrap();
        assert!(save(&store, &loaded[0].refs[0].familiar()) == archive);
    }
}

#[test]
fn the_old_layout() {
    let path = &Path::new(REAL).join("busybox.docker-20.10-save.tar");
    if let Ok(archive) = fs::read(path) {
        let (_dir, store) = store();
        let loaded = load(&store, &archive).unwrap();
        assert_eq!(loaded[0].refs[0].familiar(), "busybox:latest");
        assert_eq!(loaded[0].id.short(), "ae8a0f87a75d");
    }
    // Directories with links from one layer to another, and a link in place of the config.
    let (lower, upper) = two_layers();
    let layers: [&[u8]; 3] = [&lower, &upper, &lower];
    let config = config(&layers);
    let manifest =
        r#"[{"Config":"c.json","RepoTags":["old:1"],"Layers":["1/layer.tar","2/layer.tar","3/layer.tar"]}]"#;
    let archive = Tar::new()
        .dir("1/", 0o755)
        .file("1/layer.tar", &lower)
        .file("2/layer.tar", &upper)
        .link("3/layer.tar", EntryType::Symlink, "../1/layer.tar")
        .file("c.json", &config)
        .file("manifest.json", manifest.as_bytes())
        .end();
    let (dir, store) = store();
    let loaded = load(&store, &archive).unwrap();
    assert_eq!(loaded[0].id, Digest::sha256(&config));
    assert_eq!(list(&dir.path().join("store/layers")).len(), 2);
    let escaping = Tar::new().link("3/layer.tar", EntryType::Symlink, "../../../etc/shadow").end();
    assert!(matches!(load(&store, &escaping), Err(Error::Entry { .. })));
}

#[test]
fn every_compression() {
    let (lower, upper) = two_layers();
    let config = config(&[&lower, &upper, &lower, &upper, &lower]);
    let blobs = [gzip(&lower), zstd(&upper), xz(&lower), bzip2(&upper), lower.clone()];
    let blobs: Vec<&[u8]> = blobs.iter().map(Vec::as_slice).collect();
    let manifest = manifest(&config, &blobs);
    let index = serde_json::json!({"schemaVersion": 2, "manifests": [descriptor(oci::media_type::OCI_MANIFEST, &manifest)]});
    let plain = oci_archive(&index, &[&blobs[..], &[&config, &manifest]].concat());
    let (_dir, first) = store();
    for archive in [plain.clone(), gzip(&plain), zstd(&plain), xz(&plain), bzip2(&plain)] {
        let (_dir, store) = store();
        let loaded = store.load(&mut Trickle(&archive, 7), &|_| ()).unwrap();
        assert_eq!(loaded[0].id, Digest::sha256(&config));
        assert!(loaded[0].refs.is_empty());
        load(&first, &archive).unwrap();
    }
    // Two gzip members are one stream.
    let (a, b) = lower.split_at(600);
    let members = [gzip(a), gzip(b)].concat();
    let config = crate::testing::config(&[&lower]);
    let manifest = self::manifest(&config, &[&members]);
    let index = serde_json::json!({"schemaVersion": 2, "manifests": [descriptor(oci::media_type::OCI_MANIFEST, &manifest)]});
    load(&first, &oci_archive(&index, &[&members, &config, &manifest])).unwrap();
}

#[test]
fn nested_indexes_and_names() {
    let (lower, _) = two_layers();
    let other = layer(&[("other", "platform")]);
    let (config, other_config) = (config(&[&lower]), config(&[&other]));
    let host = oci::Platform::host();
    let (mine, theirs) = (manifest(&config, &[&lower]), manifest(&other_config, &[&other]));
    let mut for_host = descriptor(oci::media_type::OCI_MANIFEST, &mine);
    for_host["platform"] = serde_json::json!({"os": host.os, "architecture": host.architecture});
    let mut for_other = descriptor(oci::media_type::OCI_MANIFEST, &theirs);
    for_other["platform"] = serde_json::json!({"os": "linux", "architecture": "s390x"});
    let mut statement = descriptor(oci::media_type::OCI_MANIFEST, b"absent");
    statement["annotations"] = serde_json::json!({"vnd.docker.reference.type": "attestation-manifest"});
    let inner =
        serde_json::json!({"schemaVersion": 2, "manifests": [for_other, for_host, statement]}).to_string();
    let named = |key: &str, name: &str| {
        let mut named = descriptor(oci::media_type::OCI_INDEX, inner.as_bytes());
        named["annotations"] = serde_json::json!({key: name});
        named
    };
    let index = serde_json::json!({"schemaVersion": 2, "manifests": [
        named("io.containerd.image.name", "docker.io/library/nested:1"),
        named("org.opencontainers.image.ref.name", "example.org/x:2"),
        named("org.opencontainers.image.ref.name", "3"),
    ]});
    let archive =
        oci_archive(&index, &[&lower, &other, &config, &other_config, &mine, &theirs, inner.as_bytes()]);
    let (_dir, store) = store();
    let loaded = load(&store, &archive).unwrap();
    assert_eq!(loaded.len(), 1);
    assert_eq!(loaded[0].id, Digest::sha256(&config));
    let names: Vec<String> = loaded[0].refs.iter().map(Reference::familiar).collect();
    assert_eq!(names, ["nested:1", "example.org/x:2"]);
}

#[test]
fn wrong_archives_leave_nothing() {
    let (lower, upper) = two_layers();
    let whole = docker_archive(&["x:1"], &[&lower, &upper]);
    let config = config(&[&lower, &upper]);
    let with = |manifest: &str| {
        Tar::new()
            .file(&blob(&lower), &lower)
            .file(&blob(&upper), &upper)
            .file(&blob(&config), &config)
            .file("manifest.json", manifest.as_bytes())
            .end()
    };
    let item = |layers: &str, tag: &str| {
        with(&format!(r#"[{{"Config":"{}","RepoTags":["{tag}"],"Layers":[{layers}]}}]"#, blob(&config)))
    };
    let (l, u) = (format!("\"{}\"", blob(&lower)), format!("\"{}\"", blob(&upper)));
    let bad_config = br#"{"rootfs":{"type":"layers","diff_ids":["sha256:xyz"]}}"#;
    let both = r#"{"schemaVersion":2,"manifests":[],"layers":[],"config":{}}"#;
    let mut lying = Tar::new().file(&blob(&lower), b"not the content of this digest").end();
    lying.extend_from_slice(&whole);
    for (archive, text) in [
        (Vec::new(), "does not contain a manifest.json"),
        (b"no archive at all".repeat(100), "not a tar header"),
        (b"short".to_vec(), "unexpected end"),
        (Tar::new().file("x", b"y").end(), "does not contain a manifest.json"),
        (with("{"), "manifest.json"),
        (item(&format!("{u},{l}"), "x:1"), "expected digest"),
        (item(&l, "x:1"), "layers length mismatch: expected 2, got 1"),
        (item(&format!("{l},\"nothing\""), "x:1"), "layer nothing is missing"),
        (item(&format!("{l},\"../../etc/shadow\""), "x:1"), "leaves the root"),
        (item(&format!("{l},{u}"), "X:1"), "must be lowercase"),
        (item(&format!("{l},{u}"), "x"), "invalid tag"),
        (lying, "expected digest"),
        (Tar::new().file("c", bad_config).file("manifest.json", br#"[{"Config":"c"}]"#).end(), "digest"),
        (Tar::new().file("index.json", both.as_bytes()).end(), "ambiguous manifest"),
        (Tar::new().file("manifest.json", br#"[{"Config":"c"}]"#).end(), "file c is missing"),
    ] {
        let (dir, store) = store();
        let error = load(&store, &archive).unwrap_err();
        assert!(error.to_string().contains(text), "{error}, not {text}");
        assert_eq!(error.kind(), crate::ErrorKind::Invalid, "{error}");
        drop(store);
        assert_empty(&dir);
    }
}

#[test]
fn truncated_anywhere() {
    let (lower, upper) = two_layers();
    let plain = docker_archive(&["x:1"], &[&lower, &upper]);
    let needed = plain.len() - 1024;
    for (archive, needed) in
        [(plain, needed), (gzip(&docker_archive(&["x:1"], &[&lower, &upper])), usize::MAX)]
    {
        let step = archive.len() / 37;
        for length in (0..archive.len().min(needed)).step_by(step) {
            let (dir, store) = store();
            let error = load(&store, &archive[..length]).unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::Invalid, "{length}: {error}");
            drop(store);
            assert_empty(&dir);
        }
    }
}

#[test]
fn a_failing_stream_is_no_bad_archive() {
    struct Failing<'a>(Trickle<'a>);
    impl Read for Failing<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            match self.0.read(buffer)? {
                0 => Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)),
                count => Ok(count),
            }
        }
    }
    let (lower, upper) = two_layers();
    let archive = docker_archive(&["x:1"], &[&lower, &upper]);
    let (dir, store) = store();
    let mut input = Failing(Trickle(&archive[..archive.len() / 2], 1000));
    assert!(matches!(store.load(&mut input, &|_| ()), Err(Error::Io { .. })));
    drop(store);
    assert_empty(&dir);
}

#[test]
fn names_move_and_layers_are_shared() {
    let (lower, upper) = two_layers();
    let (dir, store) = store();
    let first = load(&store, &docker_archive(&["x:1", "y:1"], &[&lower])).unwrap().remove(0);
    let news = Mutex::new(Vec::new());
    let second = docker_archive(&["x:1"], &[&lower, &upper]);
    let second = store.load(&mut &second[..], &|p| news.lock().unwrap().push(p)).unwrap().remove(0);
    let name = Reference::parse("x:1").unwrap();
    let renamed = Progress::Renamed { name, old: first.id.clone() };
    assert!(news.lock().unwrap().contains(&renamed));
    assert_eq!(store.resolve("x:1").unwrap(), second.id);
    assert_eq!(store.resolve("y:1").unwrap(), first.id);
    assert_eq!(list(&dir.path().join("store/layers")).len(), 2);
    let usage = store.disk_usage();
    assert_eq!((usage.layers, usage.shared[&first.id], usage.unique[&second.id]), (14, 9, 5));
    // Again, and again after a restart: nothing changes.
    load(&store, &docker_archive(&["x:1"], &[&lower, &upper])).unwrap();
    drop(store);
    let store = Store::open(&dir.path().join("store"), DriverChoice::Auto).unwrap();
    assert_eq!(store.resolve("x:1").unwrap(), second.id);
    assert_eq!(store.images().len(), 2);
    assert_eq!(store.disk_usage(), usage);
    // A layer that the store has may be left out of an archive.
    let config = config(&[&lower, &upper]);
    let manifest = serde_json::json!([{"Config": blob(&config), "RepoTags": ["z:1"], "Layers": [blob(&lower), blob(&upper)]}]);
    let thin =
        Tar::new().file(&blob(&config), &config).file("manifest.json", manifest.to_string().as_bytes()).end();
    load(&store, &thin).unwrap();
}

#[test]
fn layers_that_depend_on_what_is_below() {
    // `usr` is implied: under each parent it must look like the parent's.
    let top = layer(&[("usr/tool", "t")]);
    let parents = [0o711, 0o750].map(|mode| Tar::new().dir("usr", mode).file("usr/x", &[mode as u8]).end());
    let (dir, store) = store();
    let mut images = Vec::new();
    images.push(load(&store, &docker_archive(&["alone:1"], &[&top])).unwrap().remove(0).id);
    for (n, parent) in parents.iter().enumerate() {
        images.push(
            load(&store, &docker_archive(&[&format!("on:{n}")], &[parent, &top])).unwrap().remove(0).id,
        );
    }
    assert_eq!(list(&dir.path().join("store/layers")).len(), 5);
    for (n, (image, mode)) in images.iter().zip([0o755, 0o711, 0o750]).enumerate() {
        let snapshot = store.create_snapshot(&format!("c{n}"), image, None).unwrap();
        let root = snapshot.mount().unwrap();
        let stat = rustix::fs::statat(&root, "usr", rustix::fs::AtFlags::empty()).unwrap();
        assert_eq!(stat.st_mode & 0o7777, mode);
    }
    for name in ["alone:1", "on:0", "on:1"] {
        let saved = save(&store, name);
        let (_dir, other) = crate::testing::store();
        assert_eq!(load(&other, &saved).unwrap()[0].id, store.resolve(name).unwrap());
    }
}

#[test]
fn loads_at_the_same_time() {
    let layers: Vec<Vec<u8>> =
        (0..6).map(|n| Tar::new().dir("d", 0o755).file(&format!("d/{n}"), &vec![n; 300_000]).end()).collect();
    let refs: Vec<&[u8]> = layers.iter().map(Vec::as_slice).collect();
    let forward = docker_archive(&["forward:1"], &refs);
    let backward = docker_archive(&["backward:1"], &refs.iter().rev().copied().collect::<Vec<_>>());
    let broken = &forward[..forward.len() * 2 / 3];
    for _ in 0..5 {
        let (dir, store) = store();
        let barrier = Barrier::new(5);
        std::thread::scope(|scope| {
            for archive in [&forward, &backward, &forward, &backward] {
                scope.spawn(|| {
                    barrier.wait();
                    load(&store, archive).unwrap();
                });
            }
            scope.spawn(|| {
                barrier.wait();
                load(&store, broken).unwrap_err();
            });
        });
        let names: BTreeSet<String> =
            store.images().iter().flat_map(|i| i.tags.iter().map(Reference::familiar)).collect();
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["backward:1", "forward:1"]);
        assert_eq!(list(&dir.path().join("store/layers")).len(), 6);
        assert_eq!(list(&dir.path().join("store/tmp")).len(), 0);
        let saved = save(&store, "backward:1");
        assert_eq!(load(&crate::testing::store().1, &saved).unwrap().len(), 1);
    }
}

#[test]
fn a_damaged_layer_is_not_saved() {
    let (lower, _) = two_layers();
    let (dir, store) = store();
    load(&store, &docker_archive(&["x:1"], &[&lower])).unwrap();
    let layers = dir.path().join("store/layers");
    let file: PathBuf = layers.join(&list(&layers)[0]).join("diff/etc/a");
    for content in ["LOWER", "short", "x", "longer than it was"] {
        fs::write(&file, content).unwrap();
        let done = store.save(&["x:1".into()], &mut Vec::new());
        assert!(matches!(done, Err(Error::Damaged(_))), "{content}: {done:?}");
    }
    fs::remove_file(&file).unwrap();
    assert!(matches!(store.save(&["x:1".into()], &mut Vec::new()), Err(Error::Damaged(_))));
}

#[test]
fn imports() {
    let tar = Tar::new().dir("bin", 0o755).file("bin/sh", b"#!").end();
    for archive in [tar.clone(), gzip(&tar), xz(&tar)] {
        let (dir, store) = store();
        let options = crate::ImportOptions {
            name: Some(Reference::parse("mine").unwrap()),
            message: "Imported from -".into(),
            ..Default::default()
        };
        let id = store.import(&mut &archive[..], options).unwrap();
        assert_eq!(store.resolve("mine:latest").unwrap(), id);
        let image = store.image(&id).unwrap();
        assert_eq!(image.image.diff_ids(), [Digest::sha256(&tar)]);
        assert_eq!((image.size, store.history(&id).unwrap()[0].comment.as_str()), (2, "Imported from -"));
        assert!(image.created > 0);
        let error = store.import(&mut &archive[..archive.len() / 3], Default::default()).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Invalid);
        assert_eq!(list(&dir.path().join("store/layers")).len(), 1);
        assert_eq!(list(&dir.path().join("store/tmp")).len(), 0);
    }
}
