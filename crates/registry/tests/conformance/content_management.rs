//! "Content Management": end-9 (manifests and tags), end-10 (blobs).

use crate::support::{MANIFEST, registry, registry_of, sha256};

#[test]
fn end_9_deleting_tags_leaves_the_manifest() {
    let running = registry();
    let digest = running.tagged("a", "v1", 1);
    running.tagged("a", "v2", 1);
    running.ask("DELETE", "/v2/a/manifests/v1", &[], b"").is(202);
    assert_eq!(running.get("/v2/a/manifests/v1").is(404).code(), "MANIFEST_UNKNOWN");
    running.get("/v2/a/manifests/v2").is(200);
    running.get(&format!("/v2/a/manifests/{digest}")).is(200);
    running.ask("DELETE", "/v2/a/manifests/v1", &[], b"").is(404);
}

#[test]
fn end_9_deleting_manifests_takes_their_tags_along() {
    let running = registry();
    let digest = running.tagged("a", "v1", 1);
    running.tagged("a", "v2", 1);
    running.tagged("a", "other", 2);
    running.ask("DELETE", &format!("/v2/a/manifests/{digest}"), &[], b"").is(202);
    for reference in ["v1", "v2", &digest] {
        running.get(&format!("/v2/a/manifests/{reference}")).is(404);
    }
    running.get("/v2/a/manifests/other").is(200);
    let tags = running.get("/v2/a/tags/list").is(200).json();
    assert_eq!(tags["tags"], serde_json::json!(["other"]));
    let again = running.ask("DELETE", &format!("/v2/a/manifests/{digest}"), &[], b"").is(404);
    assert_eq!(again.code(), "MANIFEST_UNKNOWN");
    // it can be put again
    let manifest = running.image("a", 1);
    running.put("a", "v1", MANIFEST, &manifest).is(201);
    assert_eq!(sha256(&manifest), digest);
}

#[test]
fn end_10_deleting_blobs() {
    let running = registry();
    let digest = running.blob("a", b"content");
    running.blob("b", b"content");
    let path = format!("/v2/a/blobs/{digest}");
    running.ask("DELETE", &path, &[], b"").is(202);
    running.get(&path).is(404);
    assert_eq!(running.ask("DELETE", &path, &[], b"").is(404).code(), "BLOB_UNKNOWN");
    // another repository's is its own
    running.get(&format!("/v2/b/blobs/{digest}")).is(200);
    running.blob("a", b"content");
    running.get(&path).is(200);
}

#[test]
fn end_9_end_10_deleting_can_be_switched_off() {
    let running = registry_of("delete = false\n", "", |_| {});
    let digest = running.tagged("a", "v1", 1);
    let blob = running.blob("a", b"content");
    for path in
        [format!("/v2/a/manifests/{digest}"), "/v2/a/manifests/v1".into(), format!("/v2/a/blobs/{blob}")]
    {
        assert_eq!(running.ask("DELETE", &path, &[], b"").is(405).code(), "UNSUPPORTED");
        running.get(&path).is(200);
    }
}
