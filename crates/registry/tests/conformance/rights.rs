//! Who may what: passwords, tokens, rights, and what must not be seen through them.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::support::{MANIFEST, Reply, Running, registry_with, sha256};

const RIGHTS: &str = "
[auth.htpasswd]
path = 'htpasswd'
[[rights]]
users = ['root']
repositories = ['**']
actions = ['pull', 'push', 'delete']
[[rights]]
users = ['ann']
repositories = ['team/*', 'open']
actions = ['pull', 'push']
[[rights]]
users = ['anonymous', '*']
repositories = ['public/**']
actions = ['pull']
";

const TOKENS: &str = "
[auth.token]
service = 'registry.test'
issuer = 'registry.test'
[auth.token.issue]
lifetime = '5m'
";

fn users(dir: &std::path::Path) {
    let hash = |password| bcrypt::hash(password, 4).unwrap();
    fs::write(dir.join("htpasswd"), format!("root:{}\nann:{}\n", hash("r00t"), hash("s3cret"))).unwrap();
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

fn with(running: &Running, authorization: &str, method: &str, path: &str) -> Reply {
    running.ask(method, path, &[("Authorization", authorization)], b"")
}

#[test]
fn without_a_password_nobody_is_let_in() {
    let running = registry_with(RIGHTS, users);
    let reply = running.get("/v2/").is(401);
    assert_eq!(reply.header("www-authenticate"), Some("Basic realm=\"registry\""));
    assert_eq!(reply.code(), "UNAUTHORIZED");
    with(&running, &basic("ann", "s3cret"), "GET", "/v2/").is(200);
    for wrong in
        [basic("ann", "wrong"), basic("bob", "s3cret"), "Basic !!!".into(), "Bearer x".into(), basic("", "")]
    {
        let reply = with(&running, &wrong, "GET", "/v2/").is(401);
        assert!(reply.header("www-authenticate").is_some(), "{wrong}");
    }
}

#[test]
fn rights_are_by_repository_and_action() {
    let running = registry_with(RIGHTS, users);
    let ann = basic("ann", "s3cret");
    with(&running, &ann, "POST", "/v2/team/a/blobs/uploads/").is(202);
    for (method, path) in [
        ("POST", "/v2/team/a/b/blobs/uploads/"),
        ("POST", "/v2/public/a/blobs/uploads/"),
        ("GET", "/v2/secret/manifests/v1"),
        ("GET", "/v2/secret/tags/list"),
        ("DELETE", "/v2/team/a/manifests/v1"),
    ] {
        assert_eq!(with(&running, &ann, method, path).is(403).code(), "DENIED", "{method} {path}");
    }
    // nobody in particular may pull what is public, and is asked to sign in for the rest
    running.get("/v2/public/a/manifests/v1").is(404);
    running.get("/v2/team/a/manifests/v1").is(401);
    running.ask("POST", "/v2/public/a/blobs/uploads/", &[], b"").is(401);
}

#[test]
fn what_is_not_theirs_looks_the_same_whether_it_is_there_or_not() {
    let running = registry_with(RIGHTS, users).signed_in(&basic("root", "r00t"));
    let digest = running.blob("secret", b"content");
    running.tagged("secret", "v1", 1);
    let ann = basic("ann", "s3cret");
    let seen = |path: &str| {
        let reply = crate::support::ask(running.address, "GET", path, &[("Authorization", &ann)], b"");
        (reply.status, reply.body)
    };
    assert_eq!(seen(&format!("/v2/secret/blobs/{digest}")), seen(&format!("/v2/nowhere/blobs/{digest}")));
    assert_eq!(seen("/v2/secret/manifests/v1"), seen("/v2/nowhere/manifests/v1"));
    assert_eq!(seen("/v2/secret/tags/list"), seen("/v2/nowhere/tags/list"));
    // mounting is no way around, and does not tell either
    let mount = |from: &str| {
        let path = format!("/v2/team/a/blobs/uploads/?mount={digest}&from={from}");
        crate::support::ask(running.address, "POST", &path, &[("Authorization", &ann)], b"").status
    };
    assert_eq!((mount("secret"), mount("nowhere")), (202, 202));
    // nor is a manifest that refers to it
    let manifest = running.image("secret", 9);
    let headers = [("Authorization", &*ann), ("Content-Type", MANIFEST)];
    crate::support::ask(running.address, "PUT", "/v2/team/a/manifests/v1", &headers, &manifest).is(400);
    let catalog =
        crate::support::ask(running.address, "GET", "/v2/_catalog", &[("Authorization", &ann)], b"").is(200);
    assert_eq!(catalog.json()["repositories"], serde_json::json!([]));
    assert_eq!(running.get("/v2/_catalog").is(200).json()["repositories"], serde_json::json!(["secret"]));
}

/// Asks this registry for a token.
fn token(running: &Running, authorization: Option<&str>, scope: &str) -> Reply {
    let headers: Vec<_> = authorization.map(|text| ("Authorization", text)).into_iter().collect();
    running.ask("GET", &format!("/token?service=registry.test&scope={scope}"), &headers, b"")
}

fn bearer(reply: &Reply) -> String {
    format!("Bearer {}", reply.json()["token"].as_str().unwrap())
}

#[test]
fn tokens_are_issued_for_what_is_asked_and_allowed() {
    let running = registry_with(&format!("{RIGHTS}{TOKENS}"), users);
    let asked = running.get("/v2/team/a/tags/list").is(401);
    assert_eq!(
        asked.header("www-authenticate"),
        Some(
            "Bearer realm=\"http://registry.test/token\",service=\"registry.test\",scope=\"repository:team/a:pull\""
        )
    );
    let pushing = running.ask("POST", "/v2/team/a/blobs/uploads/", &[], b"").is(401);
    assert!(pushing.header("www-authenticate").unwrap().ends_with("scope=\"repository:team/a:pull,push\""));
    assert_eq!(running.get("/v2/").is(401).header("www-authenticate").unwrap().matches("scope").count(), 0);
    let ann = basic("ann", "s3cret");
    let reply = token(&running, Some(&ann), "repository:team/a:pull,push,delete").is(200);
    assert_eq!(reply.json()["expires_in"], 300);
    let bearer_ann = bearer(&reply);
    with(&running, &bearer_ann, "GET", "/v2/").is(200);
    with(&running, &bearer_ann, "POST", "/v2/team/a/blobs/uploads/").is(202);
    // what was not granted, and what was not asked for
    let refused = with(&running, &bearer_ann, "DELETE", "/v2/team/a/manifests/v1").is(401);
    assert!(refused.header("www-authenticate").unwrap().ends_with("error=\"insufficient_scope\""));
    with(&running, &bearer_ann, "GET", "/v2/team/b/tags/list").is(401);
    assert_eq!(token(&running, Some(&basic("ann", "wrong")), "x").is(401).code(), "UNAUTHORIZED");
    // a password is good without a token, too
    with(&running, &ann, "POST", "/v2/team/a/blobs/uploads/").is(202);
    // nobody in particular pulls what is public
    let anyone = bearer(&token(&running, None, "repository:public/x:pull,push").is(200));
    with(&running, &anyone, "GET", "/v2/").is(200);
    assert_eq!(with(&running, &anyone, "GET", "/v2/public/x/tags/list").is(404).code(), "NAME_UNKNOWN");
    with(&running, &anyone, "POST", "/v2/public/x/blobs/uploads/").is(401);
    // as OAuth 2 has it
    let form = b"grant_type=password&service=registry.test&scope=repository:team/a:pull&username=ann&password=s3cret";
    let reply =
        running.ask("POST", "/token", &[("Content-Type", "application/x-www-form-urlencoded")], form).is(200);
    let bearer = format!("Bearer {}", reply.json()["access_token"].as_str().unwrap());
    with(&running, &bearer, "GET", "/v2/team/a/tags/list").is(404);
}

#[test]
fn tokens_that_were_tampered_with_are_refused() {
    use base64::engine::general_purpose::URL_SAFE_NO_PAD as URL;
    let running = registry_with(&format!("{RIGHTS}{TOKENS}"), users);
    let good = token(&running, Some(&basic("ann", "s3cret")), "repository:team/a:pull").is(200);
    let good = good.json()["token"].as_str().unwrap().to_owned();
    let parts: Vec<&str> = good.split('.').collect();
    let mut claims: Value = serde_json::from_slice(&URL.decode(parts[1]).unwrap()).unwrap();
    claims["access"][0]["actions"] = serde_json::json!(["pull", "push", "delete"]);
    let claims = URL.encode(claims.to_string());
    let none = URL.encode(r#"{"alg":"none","typ":"JWT"}"#);
    let shared = URL.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
    for bad in [
        format!("{}.{claims}.{}", parts[0], parts[2]),
        format!("{none}.{claims}."),
        format!("{shared}.{claims}.{}", parts[2]),
        format!("{}.{}", parts[0], parts[1]),
        format!("{good}x"),
        "x".repeat(60_000),
    ] {
        let reply = with(&running, &format!("Bearer {bad}"), "GET", "/v2/team/a/tags/list").is(401);
        assert!(reply.header("www-authenticate").unwrap().contains("error=\"invalid_token\""));
    }
    with(&running, &format!("Bearer {good}"), "GET", "/v2/team/a/tags/list").is(404);
}

#[test]
fn users_are_read_anew_without_a_restart() {
    let running = registry_with(RIGHTS, users);
    let ann = basic("ann", "s3cret");
    with(&running, &ann, "GET", "/v2/").is(200);
    fs::write(running.dir.path().join("htpasswd"), format!("bob:{}\n", bcrypt::hash("b0b", 4).unwrap()))
        .unwrap();
    running.registry.reload(&running.registry.config).unwrap();
    with(&running, &ann, "GET", "/v2/").is(401);
    with(&running, &basic("bob", "b0b"), "GET", "/v2/").is(200);
    // what can't be read changes nothing
    fs::write(running.dir.path().join("htpasswd"), "nonsense").unwrap();
    let error = running.registry.reload(&running.registry.config).unwrap_err().to_string();
    assert!(error.contains("htpasswd") && error.contains("line 1"), "{error}");
    with(&running, &basic("bob", "b0b"), "GET", "/v2/").is(200);
}

#[test]
fn a_password_that_was_right_costs_no_bcrypt_again() {
    // of this cost one check takes a second and more in a build that is not optimised
    let prepare = |dir: &std::path::Path| {
        fs::write(dir.join("htpasswd"), format!("ann:{}\n", bcrypt::hash("s3cret", 11).unwrap())).unwrap();
    };
    let running = registry_with("[auth.htpasswd]\npath = 'htpasswd'\n", prepare);
    let ann = basic("ann", "s3cret");
    let since = std::time::Instant::now();
    with(&running, &ann, "GET", "/v2/").is(200);
    let first = since.elapsed();
    let since = std::time::Instant::now();
    for _ in 0..5 {
        with(&running, &ann, "GET", &format!("/v2/a/blobs/{}", sha256(b"x"))).is(404);
    }
    assert!(since.elapsed() < first, "{:?} {first:?}", since.elapsed());
}
