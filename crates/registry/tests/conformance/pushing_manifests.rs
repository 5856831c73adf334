//! "Push", manifests: end-7, with subjects.

use serde_json::json;

use crate::support::{DOCKER, DOCKER_LIST, INDEX, MANIFEST, descriptor, registry, registry_with, sha256};

#[test]
fn end_7_pushing_manifests_by_tag_and_by_digest() {
    let running = registry();
    let manifest = running.image("a/b", 1);
    let digest = sha256(&manifest);
    for reference in ["v1", &digest] {
        let reply = running.put("a/b", reference, MANIFEST, &manifest).is(201);
        assert_eq!(reply.location(), format!("/v2/a/b/manifests/{digest}"));
        assert_eq!(reply.header("docker-content-digest"), Some(&*digest));
        assert_eq!(reply.header("oci-subject"), None);
    }
    running.get(&format!("/v2/a/b/manifests/{digest}")).is(200);
    // by a digest, with tags beside
    running.put("a/b", &format!("{digest}?tag=v2&tag=v3"), MANIFEST, &manifest).is(201);
    running.get("/v2/a/b/manifests/v3").is(200);
}

#[test]
fn end_7_a_tag_is_moved() {
    let running = registry();
    let (one, two) = (running.tagged("a", "v1", 1), running.tagged("a", "v1", 2));
    assert_eq!(running.head("/v2/a/manifests/v1").is(200).header("docker-content-digest"), Some(&*two));
    running.get(&format!("/v2/a/manifests/{one}")).is(200);
}

#[test]
fn end_7_what_a_manifest_refers_to_must_be_here() {
    let running = registry();
    let manifest = running.image("a", 1);
    let reply = running.put("b", "v1", MANIFEST, &manifest).is(400);
    assert_eq!(reply.code(), "MANIFEST_BLOB_UNKNOWN");
    assert!(reply.json()["errors"][0]["detail"]["digest"].is_string());
    running.get("/v2/b/tags/list").is(404);
    // so must the manifests of an index
    running.put("a", "v1", MANIFEST, &manifest).is(201);
    let index = json!({ "schemaVersion": 2, "manifests": [descriptor(MANIFEST, &manifest)] }).to_string();
    running.put("a", "many", INDEX, index.as_bytes()).is(201);
    assert_eq!(running.put("b", "many", INDEX, index.as_bytes()).is(400).code(), "MANIFEST_BLOB_UNKNOWN");
    // layers that are elsewhere need not
    let config = b"{}";
    running.blob("b", config);
    let mut foreign = descriptor("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", b"elsewhere");
    foreign["urls"] = json!(["https://example.org/layer"]);
    let manifest = json!({ "schemaVersion": 2, "mediaType": DOCKER, "config": descriptor("x/y", config), "layers": [foreign] });
    running.put("b", "windows", DOCKER, manifest.to_string().as_bytes()).is(201);
}

#[test]
fn end_7_an_index_may_be_sparse_where_that_is_configured() {
    let running = registry_with("[manifests]\nsparse_indexes = true\n", |_| {});
    let index = json!({ "schemaVersion": 2, "manifests": [descriptor(MANIFEST, b"elsewhere")] }).to_string();
    running.put("a", "many", INDEX, index.as_bytes()).is(201);
}

#[test]
fn end_7_what_is_no_manifest_is_manifest_invalid() {
    let running = registry();
    let config = descriptor("x/y", b"{}");
    running.blob("a", b"{}");
    let mut lying = config.clone();
    lying["size"] = json!(3);
    for (media_type, text) in [
        (MANIFEST, "no json".to_owned()),
        (MANIFEST, "{}".into()),
        (MANIFEST, json!({ "schemaVersion": 1, "fsLayers": [] }).to_string()),
        (
            MANIFEST,
            json!({ "schemaVersion": 2, "config": config, "layers": [], "manifests": [] }).to_string(),
        ),
        (INDEX, json!({ "schemaVersion": 2, "config": config, "layers": [] }).to_string()),
        (
            DOCKER,
            json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [] }).to_string(),
        ),
        ("text/html", json!({ "schemaVersion": 2, "config": config, "layers": [] }).to_string()),
        (MANIFEST, json!({ "schemaVersion": 2, "config": lying, "layers": [] }).to_string()),
        (MANIFEST, json!({ "schemaVersion": 2, "config": { "digest": "sha256:..", "size": 0 } }).to_string()),
    ] {
        assert_eq!(
            running.put("a", "v1", media_type, text.as_bytes()).is(400).code(),
            "MANIFEST_INVALID",
            "{text}"
        );
    }
    running.get("/v2/a/manifests/v1").is(404);
    let manifest = running.image("a", 1);
    assert_eq!(running.put("a", &sha256(b"other"), MANIFEST, &manifest).is(400).code(), "DIGEST_INVALID");
    assert_eq!(running.put("a", ".no-tag", MANIFEST, &manifest).is(400).code(), "TAG_INVALID");
}

#[test]
fn end_7_manifests_have_a_limit_of_four_mebibytes_at_least() {
    let running = registry();
    running.blob("a", b"{}");
    let sized = |length: usize| {
        let text = |pad: usize| {
            json!({ "schemaVersion": 2, "config": descriptor("x/y", b"{}"), "layers": [], "annotations": { "pad": "x".repeat(pad) } })
                .to_string()
        };
        text(length - text(0).len())
    };
    running.put("a", "large", MANIFEST, sized(4 << 20).as_bytes()).is(201);
    assert_eq!(
        running.put("a", "larger", MANIFEST, sized((4 << 20) + 1).as_bytes()).is(413).code(),
        "SIZE_INVALID"
    );
    running.get("/v2/a/manifests/large").is(200);
}

#[test]
fn end_7_docker_s_schema_2_is_taken_as_it_is() {
    let running = registry();
    let config = b"{\"docker\":1}";
    running.blob("a", config);
    let manifest = json!({
        "schemaVersion": 2, "mediaType": DOCKER,
        "config": descriptor("application/vnd.docker.container.image.v1+json", config), "layers": [],
    })
    .to_string();
    running.put("a", &sha256(manifest.as_bytes()), DOCKER, manifest.as_bytes()).is(201);
    let list = json!({
        "schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": [descriptor(DOCKER, manifest.as_bytes())],
    })
    .to_string();
    running.put("a", "many", DOCKER_LIST, list.as_bytes()).is(201);
    let reply = running.get("/v2/a/manifests/many").is(200);
    assert_eq!(reply.header("content-type"), Some(DOCKER_LIST));
    assert_eq!(reply.body, list.as_bytes());
}

#[test]
fn end_7_pushing_manifests_with_subject_is_answered_with_oci_subject() {
    let running = registry();
    running.blob("a", b"{}");
    // the subject need not be here
    let subject = descriptor(MANIFEST, b"not yet");
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": "test/signature",
        "config": descriptor("application/vnd.oci.empty.v1+json", b"{}"), "layers": [], "subject": subject,
    })
    .to_string();
    let reply = running.put("a", &sha256(manifest.as_bytes()), MANIFEST, manifest.as_bytes()).is(201);
    assert_eq!(reply.header("oci-subject"), Some(&*sha256(b"not yet")));
    // an index may have one, too
    let index = json!({
        "schemaVersion": 2, "mediaType": INDEX, "artifactType": "test/index", "manifests": [], "subject": subject,
    })
    .to_string();
    let reply = running.put("a", &sha256(index.as_bytes()), INDEX, index.as_bytes()).is(201);
    assert_eq!(reply.header("oci-subject"), Some(&*sha256(b"not yet")));
}
