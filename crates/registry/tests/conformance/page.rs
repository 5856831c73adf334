//! The page for people, and quotas.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::support::{MANIFEST, descriptor, registry_with, sha256};

#[test]
fn the_page_shows_what_the_caller_may_pull_and_runs_nothing() {
    let config = "page = true\n[auth.htpasswd]\npath = 'htpasswd'\n[auth.token]\nservice = 's'\nissuer = 'i'\n\
        [auth.token.issue]\n[[rights]]\nusers = ['ann']\nrepositories = ['team/*']\nactions = ['pull', 'push']\n\
        [[rights]]\nusers = ['root']\nrepositories = ['**']\nactions = ['pull', 'push']\n";
    let users = |dir: &std::path::Path| {
        let line = |user: &str| format!("{user}:{}\n", bcrypt::hash("pw", 4).unwrap());
        std::fs::write(dir.join("htpasswd"), line("ann") + &line("root")).unwrap();
    };
    let basic = |user: &str| format!("Basic {}", STANDARD.encode(format!("{user}:pw")));
    let running = registry_with(config, users).signed_in(&basic("root"));
    running.tagged("secret", "v1", 1);
    running.blob("team/a", b"{}");
    let evil = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": "<script>alert('x')</script>",
        "config": descriptor("a/\"onmouseover=x", b"{}"), "layers": [],
    });
    running.put("team/a", "v2", MANIFEST, evil.to_string().as_bytes()).is(201);
    let ann = |path: &str| {
        crate::support::ask(running.address, "GET", path, &[("Authorization", &basic("ann"))], b"")
    };
    let list = ann("/ui/").is(200);
    let policy = list.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    let text = String::from_utf8(list.body).unwrap();
    assert!(text.contains("<a href=\"/ui/team/a\">") && !text.contains("secret"), "{text}");
    let text = String::from_utf8(ann("/ui/team/a").is(200).body).unwrap();
    assert!(text.contains("v2") && text.contains(&sha256(b"{}")), "{text}");
    assert!(!text.contains("<script") && !text.contains("\"onmouseover"), "{text}");
    ann("/ui/secret").is(403);
    ann("/ui/nowhere").is(403);
    running.get("/ui/nowhere").is(404);
    // a browser is asked for a password, though docker would be sent for a token
    for path in ["/ui/", "/ui/team/a"] {
        let asked = crate::support::ask(running.address, "GET", path, &[], b"").is(401);
        let challenges: Vec<_> =
            asked.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("www-authenticate")).collect();
        assert_eq!(challenges.len(), 1);
        assert_eq!(challenges[0].1, "Basic realm=\"registry\"");
    }
    // who did not ask for a page has none
    registry_with("", |_| {}).get("/ui/").is(404);
}

#[test]
fn quotas_count_what_manifests_refer_to_once() {
    let config = "[[quotas]]\nrepositories = ['team/**']\nbytes = 5500\n";
    let running = registry_with(config, |_| {});
    // an image is 2000 bytes of a layer and some of manifest and config
    let first = running.tagged("team/a", "v1", 1);
    running.tagged("team/b/c", "v1", 2);
    let third = running.image("team/a", 3);
    let refused = running.put("team/a", "v3", MANIFEST, &third).is(403);
    assert_eq!(refused.code(), "DENIED");
    let message = refused.json()["errors"][0]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("team/**") && message.contains("5500 bytes"), "{message}");
    running.get("/v2/team/a/manifests/v3").is(404);
    // the same in another repository, or by another tag, needs nothing
    running.tagged("team/b/c", "again", 1);
    running.tagged("team/a", "v2", 1);
    running.tagged("other", "v3", 3);
    // what is deleted makes room at once
    for name in ["team/a", "team/b/c"] {
        running.ask("DELETE", &format!("/v2/{name}/manifests/{first}"), &[], b"").is(202);
    }
    running.put("team/a", "v3", MANIFEST, &third).is(201);
}
