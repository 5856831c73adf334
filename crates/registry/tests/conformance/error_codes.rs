//! "Error Codes": their form, and those that belong to no endpoint alone.

use crate::support::{registry, sha256};

#[test]
fn errors_are_json_of_the_specification_s_form() {
    let running = registry();
    let reply = running.get(&format!("/v2/a/blobs/{}", sha256(b"x"))).is(404);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let errors = reply.json()["errors"].clone();
    assert_eq!(errors.as_array().unwrap().len(), 1);
    assert_eq!(errors[0]["code"], "BLOB_UNKNOWN");
    assert_eq!(errors[0]["detail"]["digest"], sha256(b"x"));
}

#[test]
fn names_are_of_the_specification_s_form() {
    let running = registry();
    let long = "a".repeat(300);
    for name in ["A", "a//b", "a/", "-a", "a..b", "a___b", "../../etc", "%2e%2e", &long] {
        let reply = running.ask("POST", &format!("/v2/{name}/blobs/uploads/"), &[], b"").is(400);
        assert_eq!(reply.code(), "NAME_INVALID", "{name}");
    }
    let long = ["a"; 127].join("/");
    for name in ["a", "a.b", "a_b", "a__b", "a---b", "0/1", &long] {
        running.ask("POST", &format!("/v2/{name}/blobs/uploads/"), &[], b"").is(202);
    }
}

#[test]
fn what_is_not_done_is_refused_by_name() {
    let running = registry();
    let reply = running.ask("PUT", "/v2/a/tags/list", &[], b"").is(405);
    assert_eq!(reply.code(), "UNSUPPORTED");
    assert_eq!(reply.header("allow"), Some("GET"));
    running.get("/").is(404);
    running.get("/v1/search").is(404);
    running.get("/token").is(404);
}
