//! Commands that speak to registries: both clients say, ask for and keep the same.

use super::fake::{Answer, Fake, Request};

const PULL: &str = concat!(
    r#"{"status":"Pulling from library/a","id":"latest"}"#,
    "\r\n",
    r#"{"status":"Pulling fs layer","progressDetail":{},"id":"aaaaaaaaaaaa"}"#,
    "\r\n",
    r#"{"status":"Pulling fs layer","progressDetail":{},"id":"bbbbbbbbbbbb"}"#,
    "\r\n",
    r#"{"status":"Waiting","progressDetail":{},"id":"bbbbbbbbbbbb"}"#,
    "\r\n",
    r#"{"status":"Downloading","progressDetail":{"current":69213,"total":4065665},"progress":"x","id":"aaaaaaaaaaaa"}"#,
    "\r\n",
    r#"{"status":"Downloading","progressDetail":{"current":69213},"id":"bbbbbbbbbbbb"}"#,
    "\r\n",
    r#"{"status":"Verifying Checksum","progressDetail":{},"id":"aaaaaaaaaaaa"}"#,
    "\r\n",
    r#"{"status":"Extracting","progressDetail":{"current":4065665,"total":4065665},"progress":"x","id":"aaaaaaaaaaaa"}"#,
    "\r\n",
    r#"{"status":"Extracting","progressDetail":{"current":3,"units":"s"},"id":"bbbbbbbbbbbb"}"#,
    "\r\n",
    r#"{"status":"Pull complete","progressDetail":{},"id":"aaaaaaaaaaaa"}"#,
    "\r\n",
    r#"{"status":"Digest: sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"}"#,
    "\r\n",
    r#"{"status":"Pulling fs layer","progressDetail":{},"id":"bbbbbbbbbbbb"}"#,
    "\r\n",
    r#"{"status":"Status: Downloaded newer image for a:latest"}"#,
    "\r\n",
);

const PUSH: &str = concat!(
    r#"{"status":"The push refers to repository [docker.io/u/a]"}"#,
    "\r\n",
    r#"{"status":"Preparing","progressDetail":{},"id":"aaaaaaaaaaaa"}"#,
    "\r\n",
    r#"{"status":"Pushing","progressDetail":{"current":9999,"total":3333},"id":"aaaaaaaaaaaa"}"#,
    "\r\n",
    r#"{"status":"Pushed","progressDetail":{},"id":"aaaaaaaaaaaa"}"#,
    "\r\n",
    r#"{"status":"1: digest: sha256:cc size: 527"}"#,
    "\r\n",
    r#"{"progressDetail":{},"aux":{"Tag":"1","Digest":"sha256:cc","Size":527}}"#,
    "\r\n",
);

const SEARCH: &str = r#"[
 {"star_count":5,"is_official":false,"name":"u/a","is_automated":false,"description":"one\nof them"},
 {"star_count":10093,"is_official":true,"name":"alpine","is_automated":false,"description":"A minimal Docker image based on Alpine Linux with a complete package index"}
]"#;

fn daemon(request: &Request) -> Option<Answer> {
    match (request.method.as_str(), request.path.as_str()) {
        ("POST", "/images/create") if request.query.contains("nosuch") => Some(Answer::Json(
            404,
            r#"{"message":"pull access denied for nosuch, repository does not exist or may require 'docker login': denied"}"#.into(),
        )),
        ("POST", "/images/create") => Some(Answer::Raw("application/json", PULL.into())),
        ("POST", path) if path.ends_with("/push") => Some(Answer::Raw("application/json", PUSH.into())),
        ("GET", "/images/search") => Some(Answer::Json(200, SEARCH.into())),
        ("POST", "/auth") if String::from_utf8_lossy(&request.body).contains("token") => {
            Some(Answer::Json(200, r#"{"IdentityToken":"t","Status":"Login Succeeded"}"#.into()))
        }
        ("POST", "/auth") if String::from_utf8_lossy(&request.body).contains("wrong") => {
            Some(Answer::Json(401, r#"{"message":"unauthorized: incorrect username or password"}"#.into()))
        }
        ("POST", "/auth") => Some(Answer::Json(200, r#"{"IdentityToken":"","Status":"Login Succeeded"}"#.into())),
        _ => None,
    }
}

/// What a run shows: both outputs and the exit code.
fn shown(output: &std::process::Output) -> [String; 3] {
    [
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
        format!("{:?}", output.status.code()),
    ]
}

#[test]
fn pull_push_and_search_say_and_ask_the_same() {
    let fake = Fake::start(daemon);
    std::fs::write(fake.config(), r#"{"auths":{"r:5000":{"auth":"dTpw"}}}"#).unwrap();
    let lines: &[&[&str]] = &[
        &["pull", "a"],
        &["pull", "-q", "a"],
        &["pull", "r:5000/b/a:1", "--platform", "Linux/ARM64"],
        &["pull", "a@sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"],
        &["pull", "-a", "a"],
        &["pull", "-a", "a:1"],
        &["pull", "nosuch"],
        &["pull", "A"],
        &["pull"],
        &["push", "u/a:1"],
        &["push", "-q", "r:5000/u/a"],
        &["push", "-a", "u/a"],
        &["push", "-a", "u/a:1"],
        &["search", "x"],
        &["search", "--no-trunc", "r:5000/x", "--limit", "3"],
        &["search", "--filter", "is-official=true", "--filter", "stars=3", "x"],
        &["search", "--format", "{{.Name}}|{{.StarCount}}", "x"],
        &["search", "--format", "table {{.Name}}\t{{.StarCount}}", "x"],
    ];
    for words in lines {
        let theirs = (shown(&fake.docker(words)), fake.seen());
        let ours = (shown(&fake.berth(words)), fake.seen());
        assert_eq!(ours.0, theirs.0, "{words:?}");
        for (ours, theirs) in ours.1.iter().zip(&theirs.1) {
            let asked = |request: &Request| {
                (request.method.clone(), request.path.clone(), api::Query::parse(&request.query))
            };
            assert_eq!(asked(ours).1, asked(theirs).1, "{words:?}");
            assert_eq!(sorted(&ours.query), sorted(&theirs.query), "{words:?}");
            let auth = |request: &Request| api::auth::AuthConfig::from_header(&request.auth);
            assert_eq!(auth(ours), auth(theirs), "{words:?}");
        }
        assert_eq!(ours.1.len(), theirs.1.len(), "{words:?}");
    }
}

fn sorted(query: &str) -> Vec<String> {
    let mut pairs: Vec<_> = query.split('&').map(str::to_owned).collect();
    pairs.sort();
    pairs
}

#[test]
fn progress_on_a_terminal_is_equal_to_the_byte() {
    let fake = Fake::start(daemon);
    for columns in [150, 110, 60] {
        for words in [["pull", "a:latest"], ["push", "u/a:1"]] {
            let (theirs, ours) =
                (fake.on_terminal(true, columns, &words), fake.on_terminal(false, columns, &words));
            assert!(theirs.contains("\x1b[2K"), "{theirs:?}");
            assert_eq!(ours, theirs, "{columns} {words:?}");
        }
    }
}

#[test]
fn login_and_logout_say_and_keep_the_same() {
    let fake = Fake::start(daemon);
    let lines: &[(&[&str], &str)] = &[
        (&["login", "-u", "u", "--password-stdin", "r:5000"], "p\n"),
        (&["login", "-u", "u", "--password-stdin", "r:5000"], "p\n"),
        (&["login", "-u", "u", "--password-stdin"], "p\r\n"),
        (&["login", "-u", "u", "-p", "p", "https://s.example/v2/"], ""),
        (&["login", "-u", "token", "-p", "p", "t.example"], ""),
        (&["login", "-u", "u", "-p", "p", "--password-stdin", "r:5000"], ""),
        (&["login", "--password-stdin", "r:5000"], "p"),
        (&["login", "-u", "u", "--password-stdin", "r:5000"], "wrong"),
        (&["login", "-u", "u", "new:5000"], "p"),
        (&["login", "new:5000"], "p"),
        (&["login", "r:5000"], ""),
        (&["login", "s.example"], ""),
        (&["logout", "r:5000"], ""),
        (&["logout", "r:5000"], ""),
        (&["logout", "https://s.example/v2/"], ""),
        (&["logout"], ""),
    ];
    let play = |real: bool| {
        std::fs::write(fake.config(), "{\n\t\"auths\": {},\n\t\"x\": 1\n}").unwrap();
        let mut all = Vec::new();
        for (words, input) in lines {
            let output = if real {
                fake.docker_with_input(words, input.as_bytes())
            } else {
                fake.berth_with_input(words, input.as_bytes())
            };
            let config: serde_json::Value =
                serde_json::from_slice(&std::fs::read(fake.config()).unwrap()).unwrap();
            let bodies: Vec<_> = fake.seen().into_iter().map(|request| request.body).collect();
            let bodies: Vec<Option<api::auth::AuthConfig>> =
                bodies.iter().map(|body| serde_json::from_slice(body).ok()).collect();
            all.push((words, shown(&output), config["auths"].clone(), bodies));
        }
        all
    };
    let (theirs, ours) = (play(true), play(false));
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!(ours, theirs);
    }
    assert_eq!(
        serde_json::from_slice::<serde_json::Value>(&std::fs::read(fake.config()).unwrap()).unwrap()["x"],
        1
    );
}
