//! A cache of a registry that sends something else than what it says: none of it is kept, and nobody takes it for whole.

use std::sync::Arc;

use e2e::image::Image;
use e2e::registry::{Fault, Faulty, Packing, Picture, Style, noise};

use crate::support::{MANIFEST, Reply, Running, registry_with, sha256};

fn picture() -> Picture {
    let mut image = Image::busybox().unwrap();
    image.layer(|layer| layer.file("noise", 0o644, &noise(1, 2_000_000))).unwrap();
    Picture::of(&image, Style::Oci, &[Packing::Plain]).unwrap()
}

fn cache(faulty: &Faulty) -> Running {
    let upstream = format!("[upstream]\nregistry = '{}'\n", faulty.site().address);
    registry_with(&format!("{upstream}[uploads]\nmax_size = '16MiB'\n"), |_| {})
}

/// That each file has the digest that it is called by.
fn is_sound(cache: &Running, what: &str) {
    for file in cache.files("blobs") {
        let name = format!("sha256:{}", file.file_name().unwrap().to_str().unwrap());
        assert_eq!(sha256(&std::fs::read(&file).unwrap()), name, "{what}");
    }
    assert!(cache.files("uploads").is_empty(), "{what}: {:?}", cache.files("uploads"));
}

/// Whoever reads this can't take it for the whole blob.
fn is_refused(reply: &Reply) -> bool {
    let announced = reply.header("content-length").and_then(|text| text.parse::<usize>().ok());
    reply.status != 200 || announced.is_none_or(|length| length > reply.body.len())
}

#[test]
fn a_broken_blob_is_neither_kept_nor_taken_for_whole() {
    let picture = picture();
    let faulty = Faulty::start(&picture).unwrap();
    let cache = cache(&faulty);
    let (digest, size) = picture.layers().unwrap().pop().unwrap();
    let path = format!("/v2/some/image/blobs/{digest}");
    let whole = Arc::clone(&picture.blobs[&digest]);
    let other = |change: fn(&mut Vec<u8>)| {
        let mut bytes = whole.to_vec();
        change(&mut bytes);
        Fault::body("application/octet-stream", bytes)
    };
    let faults = [
        Fault::Flip(0),
        Fault::Flip(size / 2),
        Fault::Flip(size - 1),
        Fault::Short(1),
        Fault::Short(size),
        other(|bytes| bytes.push(0)),
        other(|bytes| bytes.extend_from_within(..)),
        other(Vec::clear),
        Fault::Header("Content-Encoding".into(), "gzip".into()),
        Fault::Endless,
        Fault::EndlessError(500),
        Fault::Loop,
        Fault::error(404, "BLOB_UNKNOWN", "not here"),
    ];
    for fault in faults {
        for range in [None, Some("bytes=10-19")] {
            faulty.fault(&digest, 1000, fault.clone());
            let headers: Vec<_> = range.into_iter().map(|range| ("Range", range)).collect();
            let reply = cache.ask("GET", &path, &headers, b"");
            assert!(is_refused(&reply) && reply.status != 206, "{fault:?}: {:?}", reply.headers);
            is_sound(&cache, &format!("{fault:?}, {range:?}"));
            assert!(!cache.files("blobs").iter().any(|file| file.ends_with(&digest[7..])), "{fault:?}");
            faulty.mend();
        }
    }
    // another part in the place of the rest, or the whole once more, and then with another byte
    for fault in [Fault::WrongRange, Fault::Flip(size - 2)] {
        faulty.fault(&digest, 1, Fault::Cut(size / 2));
        faulty.fault(&digest, 1000, fault.clone());
        let reply = cache.ask("GET", &path, &[], b"");
        assert!(is_refused(&reply), "{fault:?}: {:?}", reply.headers);
        is_sound(&cache, &format!("{fault:?}"));
        faulty.mend();
    }
    // one that breaks off and goes on is whole
    faulty.fault(&digest, 1, Fault::Cut(size / 2));
    assert!(cache.get(&path).is(200).body == **whole);
    // who reads along has the last byte a moment before it is kept
    let is_kept = || Ok(cache.files("uploads").is_empty().then_some(()));
    e2e::programs::eventually("the blob is kept", is_kept).unwrap();
    is_sound(&cache, "whole");
    faulty.forget();
    assert!(cache.get(&path).is(200).body == **whole);
    assert_eq!(faulty.fetched(&digest), 0);
}

#[test]
fn a_broken_manifest_is_not_kept() {
    let picture = picture();
    let faulty = Faulty::start(&picture).unwrap();
    let cache = cache(&faulty);
    let (_, bytes) = picture.bytes().unwrap();
    let digest = sha256(bytes);
    let lie = Fault::Header("Docker-Content-Digest".into(), sha256(b"another"));
    let json = |text: &str| Fault::body(MANIFEST, text);
    let faults = [
        Fault::Flip(5),
        Fault::Short(3),
        json("{}"),
        json("[]"),
        json("not JSON"),
        Fault::Endless,
        Fault::Loop,
    ];
    for (fault, by_tag) in faults.into_iter().map(|fault| (fault, false)).chain([(lie, true)]) {
        faulty.fault("/manifests/", 1000, fault.clone());
        let reference = if by_tag { "v1" } else { &digest };
        let reply = cache.get(&format!("/v2/some/image/manifests/{reference}"));
        assert!(reply.status >= 400, "{fault:?}: {reply:?}");
        assert!(cache.files("blobs").is_empty() && cache.files("repositories").is_empty(), "{fault:?}");
        faulty.mend();
    }
    for reference in ["v1", &digest] {
        assert_eq!(&cache.get(&format!("/v2/some/image/manifests/{reference}")).is(200).body, bytes);
    }
    is_sound(&cache, "whole");
}
