use std::io::Read;
use std::process::{Command, Stdio};

use oci::{Digest, Reference, media_type};

use super::{PushPlan, Pushed};
use crate::pull::tests::Remote;
use crate::testing::{Tar, docker_archive, gzip, layer, list, store};
use crate::{DriverChoice, Error, LayerBlob, Store};

fn compressed(plan: &PushPlan, position: usize, threads: usize) -> (Vec<u8>, LayerBlob) {
    let mut bytes = Vec::new();
    let mut compressing = plan.compress_with(position, threads).unwrap();
    while let Some(chunk) = compressing.next_chunk().unwrap() {
        bytes.extend_from_slice(&chunk);
    }
    assert_eq!(compressing.tar_bytes(), plan.layers[position].tar_size);
    (bytes, compressing.finish().unwrap())
}

/// Several blocks: text, noise, and a part of one.
fn big() -> Vec<u8> {
    let text: Vec<u8> = (0..400_000_u32).flat_map(|n| format!("{n} ").into_bytes()).collect();
    let mut state = 1_u64;
    let noise: Vec<u8> = (0..1_300_000)
        .map(|_| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 56) as u8
        })
        .collect();
    Tar::new().file("text", &text).file("noise", &noise).file("text2", &text[..999_999]).end()
}

#[test]
fn the_same_bytes_with_any_number_of_threads() {
    let (_dir, store) = store();
    let tars = [big(), layer(&[("a", "1")])];
    let archive = docker_archive(&["x:1"], &[&tars[0], &tars[1]]);
    let id = store.load(&mut &archive[..], &|_| ()).unwrap().remove(0).id;
    let plan = store.push_plan(&id).unwrap();
    for (position, tar) in tars.iter().enumerate() {
        let (bytes, blob) = compressed(&plan, position, 1);
        for threads in [2, 5] {
            assert_eq!(compressed(&plan, position, threads), (bytes.clone(), blob.clone()));
        }
        assert_eq!((blob.digest, blob.size), (Digest::sha256(&bytes), bytes.len() as u64));
        // one member, for a reader that knows no more
        let mut back = Vec::new();
        let mut decoder = flate2::bufread::GzDecoder::new(&bytes[..]);
        decoder.read_to_end(&mut back).unwrap();
        assert!(back == *tar && decoder.into_inner().is_empty());
        assert!(bytes.len() < tar.len() || position > 0);
        gzip_agrees(&bytes);
        // Read gives the same
        let mut read = Vec::new();
        plan.compress(position).unwrap().read_to_end(&mut read).unwrap();
        assert_eq!(read, bytes);
    }
}

fn gzip_agrees(bytes: &[u8]) {
    use std::io::Write;
    let mut child = Command::new("gzip").arg("-t").stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn what_was_compressed_is_remembered() {
    let (dir, store) = store();
    let tar = layer(&[("a", "1")]);
    let archive = docker_archive(&["x:1"], &[&tar]);
    let id = store.load(&mut &archive[..], &|_| ()).unwrap().remove(0).id;
    let plan = store.push_plan(&id).unwrap();
    assert!(plan.manifests.is_empty() && plan.layers[0].blobs.is_empty());
    let (_, blob) = compressed(&plan, 0, 2);
    let manifest = plan.manifest(std::slice::from_ref(&blob)).unwrap();
    assert_eq!(manifest.media_type, media_type::DOCKER_MANIFEST);
    let name = Reference::parse("reg.example/a/b:2").unwrap();
    let digest = plan.pushed(&name, Pushed::New(manifest.clone()), std::slice::from_ref(&blob)).unwrap();
    assert_eq!(digest, Digest::sha256(&manifest.bytes));
    let tagged = store.image(&id).unwrap().last_tagged;
    drop((plan, store));
    let store = Store::open(&dir.path().join("store"), DriverChoice::Auto).unwrap();
    let plan = store.push_plan(&id).unwrap();
    assert_eq!(plan.layers[0].blobs[0].digest, blob.digest);
    assert_eq!(plan.layers[0].blobs[0].repositories, ["reg.example/a/b"]);
    assert_eq!(plan.manifest(&plan.layers[0].blobs).unwrap().bytes, manifest.bytes);
    let kept = plan.manifests[0].clone();
    assert_eq!(kept.manifest.digest, digest);
    assert_eq!(store.document(&digest).unwrap(), manifest.bytes);
    assert_eq!(store.image(&id).unwrap().digests[0].to_string(), format!("reg.example/a/b@{digest}"));
    // to a second repository, as it is
    let other = Reference::parse("other.example/c").unwrap();
    plan.pushed(&other, Pushed::Kept(Box::new(kept)), &plan.layers[0].blobs).unwrap();
    let image = store.image(&id).unwrap();
    assert_eq!((image.digests.len(), image.last_tagged), (2, tagged));
    let kept = &store.manifests(&id).unwrap()[0];
    assert_eq!(kept.repositories, ["reg.example/a/b", "other.example/c"]);
}

#[test]
fn a_blob_that_was_never_seen_is_not_believed() {
    let (_dir, store) = store();
    let tar = layer(&[("a", "1")]);
    let archive = docker_archive(&["x:1"], &[&tar]);
    let id = store.load(&mut &archive[..], &|_| ()).unwrap().remove(0).id;
    let plan = store.push_plan(&id).unwrap();
    let blob = LayerBlob {
        digest: Digest::sha256(b"anything"),
        size: 8,
        media_type: media_type::OCI_LAYER_ZSTD.into(),
        repositories: Vec::new(),
    };
    let manifest = plan.manifest(std::slice::from_ref(&blob)).unwrap();
    assert_eq!(manifest.media_type, media_type::OCI_MANIFEST);
    let name = Reference::parse("x").unwrap();
    plan.pushed(&name, Pushed::New(manifest), &[blob]).unwrap();
    assert!(store.push_plan(&id).unwrap().layers[0].blobs.is_empty());
    assert!(plan.manifest(&[]).is_err());
}

#[test]
fn a_damaged_layer_is_not_pushed() {
    let (dir, store) = store();
    let tar = layer(&[("a", "1234")]);
    let archive = docker_archive(&["x:1"], &[&gzip(&tar)]);
    drop(archive);
    let archive = docker_archive(&["x:1"], &[&tar]);
    let id = store.load(&mut &archive[..], &|_| ()).unwrap().remove(0).id;
    let file = dir.path().join("store/layers").join(Digest::sha256(&tar).hex()).join("diff/a");
    std::fs::write(file, "1239").unwrap();
    let plan = store.push_plan(&id).unwrap();
    let mut compressing = plan.compress(0).unwrap();
    let error = loop {
        match compressing.next_chunk() {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it was taken for the layer"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::Damaged(_)), "{error}");
    assert!(compressing.finish().is_err());
}

#[test]
fn who_stops_reading_stops_the_threads() {
    let (_dir, store) = store();
    let tar = big();
    let archive = docker_archive(&["x:1"], &[&tar]);
    let id = store.load(&mut &archive[..], &|_| ()).unwrap().remove(0).id;
    let plan = store.push_plan(&id).unwrap();
    let mut compressing = plan.compress_with(0, 2).unwrap();
    compressing.next_chunk().unwrap();
    compressing.next_chunk().unwrap();
    assert!(compressing.finish().is_err());
}

#[test]
fn a_kept_blob_goes_out_as_it_came() {
    let (dir, store) = store();
    let path = dir.path().join("store");
    let tars = [big(), layer(&[("a", "1")])];
    let remote = Remote::new(
        &[&tars[0], &tars[1]],
        vec![
            (media_type::OCI_LAYER_ZSTD, crate::testing::zstd(&tars[0])),
            (media_type::OCI_LAYER_GZIP, gzip(&tars[1])),
        ],
    );
    store.keep_compressed(true);
    let id = remote.pull(&store, "x:1").unwrap();
    assert!(list(&path.join("ingest")).is_empty());
    drop(store);
    let store = Store::open(&path, DriverChoice::Auto).unwrap();
    let accounts = store.accounts().unwrap();
    store.wait_for_trash();
    assert_eq!(accounts.images_total() + accounts.rest(), sys::usage::of(&path).unwrap());
    let plan = store.push_plan(&id).unwrap();
    for (position, blob) in remote.blobs.iter().enumerate() {
        assert_eq!(plan.layers[position].kept, Some(Digest::sha256(blob)));
        let (bytes, sent) = compressed(&plan, position, 2);
        assert!(bytes == *blob && sent.digest == Digest::sha256(blob));
    }
    let key = Digest::sha256(&tars[1]).hex().to_owned();
    let blob = Digest::sha256(&remote.blobs[1]).hex().to_owned();
    std::fs::write(path.join("layers").join(key).join("compressed").join(blob), "else").unwrap();
    let mut compressing = plan.compress(1).unwrap();
    compressing.next_chunk().unwrap();
    assert!(matches!(compressing.next_chunk(), Err(Error::Damaged(_))));
}
