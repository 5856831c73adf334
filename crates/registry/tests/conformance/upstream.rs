//! A registry as the cache of another one.

use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use registry::server::events::{Action, Target};
use serde_json::Value;

use crate::support::{MANIFEST, Running, bytes, descriptor, registry_with, sha256};

/// A registry that only `mirror` may pull from, with the right password.
fn origin() -> Running {
    let config =
        "[auth.htpasswd]\npath = 'htpasswd'\n[auth.token]\nservice = 's'\nissuer = 'i'\n[auth.token.issue]\n";
    let users = |dir: &std::path::Path| {
        let line = format!("mirror:{}\n", bcrypt::hash("s3cret", 4).unwrap());
        std::fs::write(dir.join("htpasswd"), line).unwrap();
    };
    registry_with(config, users).signed_in(&format!("Basic {}", STANDARD.encode("mirror:s3cret")))
}

fn cache(origin: &Running, more: &str) -> Running {
    let config = format!(
        "[upstream]\nregistry = '{}'\nusername = 'mirror'\npassword = 'password'\n{more}",
        origin.address
    );
    registry_with(&config, |dir| std::fs::write(dir.join("password"), "s3cret\n").unwrap())
}

/// An image with a large layer, by a tag; its digest, and the layer.
fn push(origin: &Running, name: &str, tag: &str, seed: u64) -> (String, Vec<u8>) {
    let (config, layer) = (format!("{{\"seed\":{seed}}}").into_bytes(), bytes(seed, 5_000_000));
    origin.blob(name, &config);
    origin.blob(name, &layer);
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": MANIFEST,
        "config": descriptor("x/y", &config), "layers": [descriptor("x/z", &layer)],
    });
    origin.put(name, tag, MANIFEST, manifest.to_string().as_bytes()).is(201);
    (sha256(manifest.to_string().as_bytes()), layer)
}

/// As if a tag had been looked up long ago.
fn age(cache: &Running, tag: &str) {
    let path = cache.dir.path().join("data/repositories/team+a!/tags").join(tag);
    let mut record: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    record["at"] = "2001-01-01T00:00:00Z".into();
    std::fs::write(path, record.to_string()).unwrap();
}

#[test]
fn what_is_asked_for_is_fetched_once_by_all_together() {
    let origin = origin();
    let (digest, layer) = push(&origin, "team/a", "v1", 1);
    let mut events = origin.registry.events.listen();
    let cache = cache(&origin, "");
    let path = format!("/v2/team/a/blobs/{}", sha256(&layer));
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let manifest = cache.get("/v2/team/a/manifests/v1").is(200);
                assert_eq!(manifest.header("docker-content-digest"), Some(&*digest));
                assert!(cache.get(&path).is(200).body == layer);
            });
        }
    });
    let mut fetched = 0;
    while let Ok(event) = events.try_recv() {
        let is_blob = matches!(event.target, Target::Blob { .. });
        fetched += u32::from(event.action == Action::Pull && is_blob);
    }
    assert_eq!(fetched, 1);
    let part = cache.ask("GET", &path, &[("Range", "bytes=10-19")], b"").is(206);
    assert_eq!(part.body, layer[10..20]);
    assert!(cache.files("uploads").is_empty());
    // a part of what is not here yet, how large it is, and tags
    let (_, other) = push(&origin, "team/a", "v2", 2);
    let path = format!("/v2/team/a/blobs/{}", sha256(&other));
    assert_eq!(cache.head(&path).is(200).header("content-length"), Some("5000000"));
    let part = cache.ask("GET", &path, &[("Range", "bytes=4999990-")], b"").is(206);
    assert_eq!(part.body, other[4_999_990..]);
    let tags = cache.get("/v2/team/a/tags/list?n=1").is(200);
    assert_eq!(tags.json()["tags"], serde_json::json!(["v1"]));
    assert!(tags.header("link").is_some());
    // what is not there, and what may not be done here
    assert_eq!(cache.get("/v2/team/a/manifests/v9").is(404).code(), "MANIFEST_UNKNOWN");
    assert_eq!(cache.get(&format!("/v2/team/a/blobs/{}", sha256(b"?"))).is(404).code(), "BLOB_UNKNOWN");
    assert_eq!(cache.ask("POST", "/v2/team/a/blobs/uploads/", &[], b"").is(405).code(), "UNSUPPORTED");
    cache.put("team/a", "v1", MANIFEST, b"{}").is(405);
}

#[test]
fn tags_are_looked_after_and_served_though_the_other_registry_is_down() {
    let origin = origin();
    let (first, layer) = push(&origin, "team/a", "v1", 1);
    let cache = cache(&origin, "expire = '1h'\n");
    let digest = |tag: &str| {
        let reply = cache.get(&format!("/v2/team/a/manifests/{tag}")).is(200);
        reply.header("docker-content-digest").unwrap().to_owned()
    };
    assert_eq!(digest("v1"), first);
    let (second, other) = push(&origin, "team/a", "v1", 2);
    // believed for a time
    assert_eq!(digest("v1"), first);
    age(&cache, "v1");
    assert_eq!(digest("v1"), second);
    let path = |layer: &[u8]| format!("/v2/team/a/blobs/{}", sha256(layer));
    assert!(cache.get(&path(&other)).is(200).body == other);
    // gone there, gone here
    push(&origin, "team/a", "gone", 3);
    digest("gone");
    let token = origin.get("/v2/team/a/manifests/gone").header("docker-content-digest").unwrap().to_owned();
    origin.ask("DELETE", &format!("/v2/team/a/manifests/{token}"), &[], b"").is(202);
    age(&cache, "gone");
    cache.get("/v2/team/a/manifests/gone").is(404);
    drop(origin);
    age(&cache, "v1");
    assert_eq!(digest("v1"), second);
    assert!(cache.get(&path(&other)).is(200).body == other);
    assert_eq!(cache.get("/v2/team/a/tags/list").is(200).json()["tags"], serde_json::json!(["v1"]));
    assert_eq!(cache.get("/v2/team/a/manifests/v2").is(503).code(), "UNAVAILABLE");
    cache.get(&path(&layer)).is(503);
}
