//! Rules of retention, applied to a registry that serves.

use registry::server::retention::apply;

use crate::garbage::age;
use crate::support::{INDEX, MANIFEST, Running, descriptor, registry_with, sha256};

fn run(running: &Running) {
    tokio::runtime::Runtime::new().unwrap().block_on(apply(&running.registry)).unwrap();
}

fn tags(running: &Running, name: &str) -> Vec<String> {
    let reply = running.get(&format!("/v2/{name}/tags/list"));
    let list = |reply: serde_json::Value| serde_json::from_value(reply["tags"].clone()).unwrap();
    if reply.status == 200 { list(reply.json()) } else { Vec::new() }
}

const RULES: &str = "
[[retention]]
repositories = ['app/**']
tags = ['release-*']
[[retention]]
repositories = ['app/**']
keep_last = 2
untagged = '1d'
[[retention]]
repositories = ['dry']
keep_last = 0
untagged = '1d'
dry_run = true
";

#[test]
fn tags_beyond_the_newest_go_and_then_what_no_tag_leads_to() {
    let running = registry_with(RULES, |_| {});
    for (seed, tag) in ["release-1", "c", "b", "a"].iter().enumerate() {
        for name in ["app/x", "dry", "other"] {
            running.tagged(name, tag, seed as u64);
        }
    }
    // an index, its manifest, and what is about that
    let child = running.image("app/x", 7);
    running.put("app/x", &sha256(&child), MANIFEST, &child).is(201);
    let index = serde_json::json!({
        "schemaVersion": 2, "mediaType": INDEX, "manifests": [descriptor(MANIFEST, &child)],
    });
    running.put("app/x", "release-2", INDEX, index.to_string().as_bytes()).is(201);
    let lonely = running.image("app/x", 8);
    running.put("app/x", &sha256(&lonely), MANIFEST, &lonely).is(201);
    run(&running);
    assert_eq!(tags(&running, "app/x"), ["a", "b", "release-1", "release-2"]);
    assert_eq!(tags(&running, "other").len(), 4);
    // what a tag led to a moment ago, or is not tagged yet, stays as long as it is young
    let path = format!("/v2/app/x/manifests/{}", sha256(&lonely));
    running.get(&path).is(200);
    assert_eq!(manifests(&running, "app+x!"), 7);
    age(&running);
    run(&running);
    running.get(&path).is(404);
    running.get(&format!("/v2/app/x/manifests/{}", sha256(&child))).is(200);
    assert_eq!(manifests(&running, "app+x!"), 5);
    assert_eq!((tags(&running, "dry").len(), manifests(&running, "dry!")), (4, 4));
}

#[test]
fn an_index_that_is_pushed_keeps_manifests_that_were_about_to_go() {
    let running = registry_with(RULES, |_| {});
    let child = running.image("app/x", 1);
    running.put("app/x", &sha256(&child), MANIFEST, &child).is(201);
    age(&running);
    let index = serde_json::json!({
        "schemaVersion": 2, "mediaType": INDEX, "manifests": [descriptor(MANIFEST, &child)],
    });
    running.put("app/x", "v1", INDEX, index.to_string().as_bytes()).is(201);
    // the index gone again, the manifest has as much time as if it were pushed now
    running.ask("DELETE", "/v2/app/x/manifests/v1", &[], b"").is(202);
    run(&running);
    running.get(&format!("/v2/app/x/manifests/{}", sha256(&child))).is(200);
}

fn manifests(running: &Running, component: &str) -> usize {
    running.files(&format!("repositories/{component}/manifests")).len()
}
