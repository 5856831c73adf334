//! "Content Discovery": end-8 (tags), end-12 (referrers), and Docker's catalog.

use serde_json::{Value, json};

use crate::support::{INDEX, MANIFEST, Running, descriptor, registry, sha256};

fn texts(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect()
}

/// The target of `Link: <…>; rel="next"`.
fn next(reply: &crate::support::Reply) -> Option<String> {
    let link = reply.header("link")?;
    assert!(link.ends_with("; rel=\"next\""), "{link}");
    Some(link.split_once('<')?.1.split_once('>')?.0.to_owned())
}

#[test]
fn end_8a_all_tags_sorted() {
    let running = registry();
    for tag in ["v2", "latest", "V1", "v10", "_x"] {
        running.tagged("a/b", tag, 1);
    }
    let reply = running.get("/v2/a/b/tags/list").is(200);
    assert_eq!(reply.json()["name"], "a/b");
    assert_eq!(texts(&reply.json()["tags"]), ["V1", "_x", "latest", "v10", "v2"]);
    assert!(next(&reply).is_none());
    assert_eq!(running.get("/v2/unknown/tags/list").is(404).code(), "NAME_UNKNOWN");
    // known, and without tags
    let digest = sha256(&running.image("c", 1));
    running.get(&format!("/v2/c/manifests/{digest}")).is(404);
    assert_eq!(running.get("/v2/c/tags/list").is(200).json()["tags"], json!([]));
}

#[test]
fn end_8b_tags_in_pages() {
    let running = registry();
    let manifest = running.image("a", 1);
    let all: Vec<String> = (0..25).map(|number| format!("t{number:02}")).collect();
    for tag in &all {
        running.put("a", tag, MANIFEST, &manifest).is(201);
    }
    let (mut found, mut path, mut pages) = (Vec::new(), "/v2/a/tags/list?n=10".to_owned(), 0);
    loop {
        let reply = running.get(&path).is(200);
        found.extend(texts(&reply.json()["tags"]));
        pages += 1;
        match next(&reply) {
            Some(link) => path = link,
            None => break,
        }
    }
    assert_eq!((found, pages), (all, 3));
    let tags = |query: &str| texts(&running.get(&format!("/v2/a/tags/list?{query}")).is(200).json()["tags"]);
    assert_eq!(tags("n=2&last=t03"), ["t04", "t05"]);
    assert_eq!(tags("last=t22"), ["t23", "t24"]);
    // a tag that is not there is a place all the same
    assert_eq!(tags("n=1&last=t03x"), ["t04"]);
    assert!(tags("n=0").is_empty());
    assert!(tags("n=1&last=t24").is_empty());
    assert_eq!(tags("n=100000").len(), 25);
    assert_eq!(running.get("/v2/a/tags/list?n=-1").is(400).code(), "PAGINATION_NUMBER_INVALID");
}

/// A manifest that refers to `subject`; its digest.
fn refer(running: &Running, subject: &Value, artifact_type: &str, note: &str) -> String {
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": artifact_type, "subject": subject,
        "config": descriptor("application/vnd.oci.empty.v1+json", b"{}"), "layers": [],
        "annotations": { "note": note },
    })
    .to_string();
    let digest = sha256(manifest.as_bytes());
    running.put("a", &digest, MANIFEST, manifest.as_bytes()).is(201);
    digest
}

#[test]
fn end_12a_referrers_are_an_index_of_descriptors() {
    let running = registry();
    running.blob("a", b"{}");
    let image = running.image("a", 1);
    let subject = descriptor(MANIFEST, &image);
    let path = format!("/v2/a/referrers/{}", sha256(&image));
    // nobody refers to it, and it is not there: an empty list
    let empty = running.get(&path).is(200);
    assert_eq!(empty.header("content-type"), Some(INDEX));
    assert_eq!(empty.json(), json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [] }));
    let mut all = vec![
        refer(&running, &subject, "test/signature", "one"),
        refer(&running, &subject, "test/signature", "two"),
        refer(&running, &subject, "test/bill", "three"),
    ];
    all.sort();
    running.put("a", "v1", MANIFEST, &image).is(201);
    let reply = running.get(&path).is(200);
    assert_eq!(reply.header("oci-filters-applied"), None);
    let listed = reply.json()["manifests"].clone();
    let digests: Vec<String> =
        listed.as_array().unwrap().iter().map(|one| one["digest"].as_str().unwrap().into()).collect();
    assert_eq!(digests, all);
    let one = listed.as_array().unwrap().iter().find(|one| one["annotations"]["note"] == "three").unwrap();
    assert_eq!(one["artifactType"], "test/bill");
    assert_eq!(one["mediaType"], MANIFEST);
    let size = running.head(&format!("/v2/a/manifests/{}", one["digest"].as_str().unwrap()));
    assert_eq!(one["size"].to_string(), size.header("content-length").unwrap());
    assert_eq!(running.get("/v2/a/referrers/sha256:x").is(400).code(), "DIGEST_INVALID");
}

#[test]
fn end_12a_without_artifact_type_it_is_the_config_s() {
    let running = registry();
    let image = running.image("a", 1);
    let mut manifest: Value = serde_json::from_slice(&running.image("a", 2)).unwrap();
    manifest["subject"] = descriptor(MANIFEST, &image);
    running.put("a", "referrer", MANIFEST, manifest.to_string().as_bytes()).is(201);
    let reply = running.get(&format!("/v2/a/referrers/{}", sha256(&image))).is(200);
    assert_eq!(reply.json()["manifests"][0]["artifactType"], "application/vnd.oci.image.config.v1+json");
}

#[test]
fn end_12b_referrers_are_filtered_by_artifact_type() {
    let running = registry();
    running.blob("a", b"{}");
    let subject = descriptor(MANIFEST, b"not here");
    refer(&running, &subject, "test/signature", "one");
    let bill = refer(&running, &subject, "test/bill+json", "two");
    let path = format!("/v2/a/referrers/{}", sha256(b"not here"));
    let reply = running.get(&format!("{path}?artifactType=test/bill%2Bjson")).is(200);
    assert_eq!(reply.header("oci-filters-applied"), Some("artifactType"));
    assert_eq!(reply.json()["manifests"].as_array().unwrap().len(), 1);
    assert_eq!(reply.json()["manifests"][0]["digest"], bill);
    let none = running.get(&format!("{path}?artifactType=test/none")).is(200);
    assert_eq!(none.json()["manifests"], json!([]));
}

#[test]
fn referrers_go_with_the_manifest_that_refers() {
    let running = registry();
    running.blob("a", b"{}");
    let subject = descriptor(MANIFEST, b"subject");
    let one = refer(&running, &subject, "test/signature", "one");
    let two = refer(&running, &subject, "test/signature", "two");
    running.ask("DELETE", &format!("/v2/a/manifests/{one}"), &[], b"").is(202);
    let reply = running.get(&format!("/v2/a/referrers/{}", sha256(b"subject"))).is(200);
    assert_eq!(reply.json()["manifests"].as_array().unwrap().len(), 1);
    assert_eq!(reply.json()["manifests"][0]["digest"], two);
}

#[test]
fn the_catalog_is_bounded_and_in_pages() {
    let running = registry();
    for name in ["b", "a/x", "a-b", "a", "c/d/e"] {
        running.tagged(name, "v1", 1);
    }
    // what only has blobs is not shown
    running.blob("only-blobs", b"x");
    let (mut found, mut path) = (Vec::new(), "/v2/_catalog?n=2".to_owned());
    loop {
        let reply = running.get(&path).is(200);
        let page = texts(&reply.json()["repositories"]);
        assert!(page.len() <= 2);
        found.extend(page);
        match next(&reply) {
            Some(link) => path = link,
            None => break,
        }
    }
    assert_eq!(found, ["a", "a/x", "a-b", "b", "c/d/e"]);
    // CVE-2023-2253
    for n in ["1001", "99999999999", "18446744073709551616", "-1", "x"] {
        assert_eq!(running.get(&format!("/v2/_catalog?n={n}")).is(400).code(), "PAGINATION_NUMBER_INVALID");
    }
}
