//! "Pull": end-1, end-2, end-3.

use crate::support::{DOCKER, INDEX, MANIFEST, bytes, descriptor, registry, sha256};
use serde_json::json;

#[test]
fn end_1_the_registry_says_that_it_is_one() {
    let running = registry();
    for path in ["/v2/", "/v2"] {
        let reply = running.get(path).is(200);
        assert_eq!(reply.header("docker-distribution-api-version"), Some("registry/2.0"));
    }
    running.head("/v2/").is(200);
    running.ask("POST", "/v2/", &[], b"").is(405);
}

#[test]
fn end_2_pulling_blobs_get_gives_the_content_and_its_digest() {
    let running = registry();
    for content in [bytes(1, 1_500_000), Vec::new(), vec![b'x']] {
        let digest = running.blob("a/b", &content);
        let reply = running.get(&format!("/v2/a/b/blobs/{digest}")).is(200);
        assert!(reply.body == content);
        assert_eq!(reply.header("docker-content-digest"), Some(&*digest));
        assert_eq!(reply.header("content-length"), Some(&*content.len().to_string()));
        assert_eq!(reply.header("content-type"), Some("application/octet-stream"));
    }
}

#[test]
fn end_2_checking_if_content_exists_head_gives_the_size_and_no_body() {
    let running = registry();
    let digest = running.blob("a", b"content");
    let reply = running.head(&format!("/v2/a/blobs/{digest}")).is(200);
    assert_eq!(reply.header("content-length"), Some("7"));
    assert_eq!(reply.header("docker-content-digest"), Some(&*digest));
    assert!(reply.body.is_empty());
    assert!(running.head(&format!("/v2/a/blobs/{}", sha256(b"none"))).is(404).body.is_empty());
}

#[test]
fn end_2_pulling_blobs_what_is_not_there_is_blob_unknown() {
    let running = registry();
    let digest = running.blob("a", b"content");
    assert_eq!(running.get(&format!("/v2/a/blobs/{}", sha256(b"none"))).is(404).code(), "BLOB_UNKNOWN");
    // what another repository has is not here
    let other = running.get(&format!("/v2/b/blobs/{digest}")).is(404);
    assert_eq!(other.code(), "BLOB_UNKNOWN");
}

#[test]
fn end_2_pulling_blobs_ranges() {
    let running = registry();
    let content = bytes(2, 700_000);
    let digest = running.blob("a", &content);
    let path = format!("/v2/a/blobs/{digest}");
    for (range, from, to) in
        [("bytes=0-9", 0, 10), ("bytes=300000-", 300_000, 700_000), ("bytes=-5", 699_995, 700_000)]
    {
        let reply = running.ask("GET", &path, &[("Range", range)], b"").is(206);
        assert!(reply.body == content[from..to], "{range}");
        assert_eq!(reply.header("content-range"), Some(&*format!("bytes {from}-{}/700000", to - 1)));
    }
    let outside = running.ask("GET", &path, &[("Range", "bytes=700000-")], b"").is(416);
    assert_eq!(outside.header("content-range"), Some("bytes */700000"));
    assert_eq!(outside.code(), "RANGE_INVALID");
    // a range of something else is of no use
    let changed = [("Range", "bytes=0-9"), ("If-Range", "\"sha256:other\"")];
    assert_eq!(running.ask("GET", &path, &changed, b"").is(200).body.len(), 700_000);
    let etag = format!("\"{digest}\"");
    running.ask("GET", &path, &[("Range", "bytes=0-9"), ("If-Range", &etag)], b"").is(206);
    assert_eq!(running.get(&path).header("accept-ranges"), Some("bytes"));
}

#[test]
fn end_2_end_3_what_the_client_has_is_not_sent_again() {
    let running = registry();
    let blob = running.blob("a", b"content");
    let manifest = running.tagged("a", "v1", 1);
    for (path, digest) in [
        (format!("/v2/a/blobs/{blob}"), &blob),
        ("/v2/a/manifests/v1".to_owned(), &manifest),
        (format!("/v2/a/manifests/{manifest}"), &manifest),
    ] {
        let etag = running.get(&path).is(200).header("etag").unwrap().to_owned();
        assert_eq!(etag, format!("\"{digest}\""));
        let same = running.ask("GET", &path, &[("If-None-Match", &etag)], b"").is(304);
        assert!(same.body.is_empty());
        running.ask("GET", &path, &[("If-None-Match", "\"other\"")], b"").is(200);
    }
}

#[test]
fn end_3_pulling_manifests_by_tag_and_by_digest_gives_the_very_bytes() {
    let running = registry();
    // spaces and order are the client's own
    let text = String::from_utf8(running.image("a", 3)).unwrap().replace("\"layers\"", " \n \"layers\"");
    running.put("a", "v1", MANIFEST, text.as_bytes()).is(201);
    let digest = sha256(text.as_bytes());
    for reference in ["v1", &digest] {
        let path = format!("/v2/a/manifests/{reference}");
        let reply = running.get(&path).is(200);
        assert_eq!(reply.body, text.as_bytes());
        assert_eq!(reply.header("docker-content-digest"), Some(&*digest));
        assert_eq!(reply.header("content-type"), Some(MANIFEST));
        let head = running.head(&path).is(200);
        assert_eq!(head.header("content-length"), Some(&*text.len().to_string()));
        assert_eq!(head.header("content-type"), Some(MANIFEST));
        assert_eq!(head.header("docker-content-digest"), Some(&*digest));
        assert!(head.body.is_empty());
    }
}

#[test]
fn end_3_pulling_manifests_what_is_not_there_is_manifest_unknown() {
    let running = registry();
    running.tagged("a", "v1", 1);
    for reference in ["v2", ".INVALID_MANIFEST_NAME", &sha256(b"none")] {
        assert_eq!(running.get(&format!("/v2/a/manifests/{reference}")).is(404).code(), "MANIFEST_UNKNOWN");
        running.head(&format!("/v2/a/manifests/{reference}")).is(404);
    }
    // a blob is no manifest, and a manifest of another repository is not here
    let blob = running.blob("a", b"{}");
    running.get(&format!("/v2/a/manifests/{blob}")).is(404);
    let digest = running.tagged("b", "v1", 2);
    running.get(&format!("/v2/a/manifests/{digest}")).is(404);
}

#[test]
fn end_3_pulling_manifests_the_accept_header_is_heeded() {
    let running = registry();
    let child = running.image("a", 4);
    running.put("a", &sha256(&child), MANIFEST, &child).is(201);
    let mut listed = descriptor(MANIFEST, &child);
    listed["platform"] = json!({ "os": "linux", "architecture": "amd64" });
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [listed] }).to_string();
    running.put("a", "many", INDEX, index.as_bytes()).is(201);
    let get = |accept: &str| running.ask("GET", "/v2/a/manifests/many", &[("Accept", accept)], b"");
    let both = format!("{MANIFEST}, {INDEX};q=0.5");
    for accept in [INDEX, "*/*", "application/*", &both] {
        assert_eq!(get(accept).is(200).header("content-type"), Some(INDEX), "{accept}");
    }
    // who takes no index gets what runs on most machines
    let one = get(MANIFEST).is(200);
    assert_eq!(one.header("docker-content-digest"), Some(&*sha256(&child)));
    assert_eq!(one.body, child);
    let none = get(DOCKER).is(404);
    assert_eq!(none.code(), "MANIFEST_UNKNOWN");
    // who names a digest gets what has it
    let path = format!("/v2/a/manifests/{}", sha256(index.as_bytes()));
    running.ask("GET", &path, &[("Accept", DOCKER)], b"").is(200);
}
