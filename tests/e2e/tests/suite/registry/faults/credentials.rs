//! Who hears the password, and what a token server may say.

use anyhow::{Result, ensure};
use e2e::Berth;
use e2e::registry::engines::Ours;
use e2e::registry::token::TokenServer;
use e2e::registry::{Engine, Fault, Faulty, PASSWORD, Site, USER};

use super::{Ends, Lab, large, picture};

const ALWAYS: u32 = u32::MAX;

fn known(faulty: &Faulty) -> Site {
    Site { login: Some((USER.to_owned(), PASSWORD.to_owned())), ..faulty.site() }
}

/// A registry that wants a password redirects: wherever it leads to, the password stays.
#[test]
fn redirects_take_no_credentials_along() -> Result<()> {
    let berth = Berth::bare(&[])?;
    let picture = picture()?;
    let layer = large(&picture)?;
    let (registry, storage) = (Faulty::start(&picture)?, Faulty::start(&picture)?);
    registry.guard("Basic realm=\"test\"");
    let away = |part: &str| {
        registry.fault(part, ALWAYS, Fault::Away(format!("http://{}", storage.site().address)));
    };
    let (engine, site) = (Ours(&berth), known(&registry));
    engine.login(&site)?;
    away(&layer);
    engine.pull(&site, "some/image:latest")?;
    let heard = storage.seen();
    ensure!(heard.iter().any(|one| one.request.target.contains(&layer)), "nobody came: {heard:?}");
    for one in &heard {
        ensure!(one.request.header("authorization").is_none(), "{one:?}");
    }
    let first = registry.asked("GET", &layer);
    ensure!(first.iter().any(|one| one.request.header("authorization").is_some()), "{first:?}");
    // and a blob that was fetched from there is asked for at the registry, if it is asked for again
    engine.remove(&site.name("some/image:latest"))?;
    storage.fault(&layer, 1, Fault::Cut(1_000_000));
    engine.pull(&site, "some/image:latest")?;
    for one in storage.seen() {
        ensure!(one.request.header("authorization").is_none(), "{one:?}");
    }
    berth.finish()
}

/// An upload whose place is at another host.
#[test]
fn uploads_elsewhere_take_no_credentials_along() -> Result<()> {
    let berth = Berth::start()?;
    let empty = picture()?;
    let (registry, storage) = (Faulty::start(&empty)?, Faulty::start(&empty)?);
    registry.guard("Basic realm=\"test\"");
    let (engine, site) = (Ours(&berth), known(&registry));
    engine.login(&site)?;
    let place = format!("http://{}/v2/some/image/blobs/uploads/0", storage.site().address);
    let headers = vec![("Location".to_owned(), place), ("Range".to_owned(), "0-0".to_owned())];
    registry.rule(
        Some("POST"),
        "/blobs/uploads/",
        0,
        ALWAYS,
        Fault::Answer(202, headers, std::sync::Arc::default()),
    );
    engine.tag(e2e::daemon::IMAGE, &site.name("some/image:1"))?;
    // Whether it is done or refused: the password goes nowhere.
    let ran = engine.run(&["push", &site.name("some/image:1")])?;
    println!("{} {}", ran.code, ran.stderr);
    for one in storage.seen() {
        ensure!(one.request.header("authorization").is_none(), "{one:?}");
    }
    berth.finish()
}

#[test]
fn challenges_and_tokens_that_are_none() -> Result<()> {
    let (lab, picture) = (Lab::new()?, picture()?);
    for (name, challenge) in [
        ("no challenge", String::new()),
        ("a scheme that nobody knows", "Negotiate".to_owned()),
        ("no realm", "Bearer service=\"x\"".to_owned()),
        ("a realm that is no URL", "Bearer realm=\"::::\"".to_owned()),
        ("a realm that is a file", "Bearer realm=\"file:///etc/passwd\"".to_owned()),
        ("quotes without an end", "Bearer realm=\"http://127.0.0.1".to_owned()),
        ("a thousand schemes", "Basic realm=\"x\", ".repeat(1000)),
        ("a realm that nobody listens at", "Bearer realm=\"http://127.0.0.1:1/\",service=\"x\"".to_owned()),
    ] {
        let faulty = Faulty::start(&picture)?;
        faulty.guard(&challenge);
        lab.run(&faulty, name, Ends::Says(&[]))?;
    }
    let tokens = Faulty::start(&picture)?;
    let realm = format!("Bearer realm=\"http://{}/token\",service=\"x\"", tokens.site().address);
    for (name, fault) in [
        ("no token", Fault::body("application/json", "{}")),
        ("no JSON", Fault::body("text/html", "<html>")),
        ("a token that is a number", Fault::body("application/json", "{\"token\": 7}")),
        ("a token with a line's end", Fault::body("application/json", "{\"token\": \"a\\r\\nX-Evil: 1\"}")),
        (
            "a token of two megabytes",
            Fault::body("application/json", format!("{{\"token\":\"{}\"}}", "x".repeat(2 << 20))),
        ),
        (
            "a token of 200 kB",
            Fault::body("application/json", format!("{{\"token\":\"{}\"}}", "x".repeat(200_000))),
        ),
        ("an endless token", Fault::Endless),
        ("denied", Fault::error(403, "DENIED", "not for you")),
        ("a redirect to itself", Fault::Loop),
    ] {
        let faulty = Faulty::start(&picture)?;
        faulty.guard(&realm);
        tokens.mend();
        tokens.fault("/token", ALWAYS, fault);
        lab.run(&faulty, name, Ends::Says(&["127.0.0.1"]))?;
        ensure!(faulty.seen().iter().all(|one| one.request.header("x-evil").is_none()), "{name}");
    }
    lab.finish()
}

/// A registry that no longer takes a token in the middle of a pull gets a new one.
#[test]
fn tokens_are_renewed() -> Result<()> {
    let (lab, picture) = (Lab::new()?, picture()?);
    let layer = large(&picture)?;
    let tokens = TokenServer::start(None, None)?;
    tokens.allow("", "some/*", &["pull"]);
    let challenge =
        format!("Bearer realm=\"{}\",service=\"test\",scope=\"repository:some/image:pull\"", tokens.realm());
    let faulty = Faulty::start(&picture)?;
    faulty.guard(&challenge);
    let old = format!("{challenge},error=\"invalid_token\"");
    let headers = vec![("WWW-Authenticate".to_owned(), old)];
    faulty.fault(&layer, 1, Fault::Answer(401, headers, std::sync::Arc::default()));
    lab.run(&faulty, "an old token", Ends::Works)?;
    let asked = tokens.asked();
    ensure!(asked.len() >= 2, "{asked:?}");
    for one in &asked {
        ensure!(one.parameters("scope").iter().any(|scope| scope == "repository:some/image:pull"), "{one:?}");
    }
    for one in faulty.seen() {
        let said = one.request.header("authorization").unwrap_or("Bearer ");
        ensure!(said.starts_with("Bearer "), "{one:?}");
    }
    lab.finish()
}

/// What is not open is refused, at Debian's registry by its own words.
#[test]
fn without_rights() -> Result<()> {
    let lab = Lab::new()?;
    let registry = e2e::registry::Registry::with(
        e2e::registry::Kind::Debian,
        e2e::registry::Wants { access: e2e::registry::Access::Token, ..e2e::registry::Wants::default() },
    )?;
    let reference = registry.site().name("closed/image:latest");
    lab.berth.berth(["pull", &reference])?.fails(1, "denied")?;
    let tokens = registry.tokens().ok_or_else(|| anyhow::anyhow!("no token server"))?;
    tokens.user("guest", "guest");
    tokens.allow("guest", "some/image", &["pull"]);
    picture()?.push(&registry.probe_of("some/image")?, "some/image", "latest")?;
    let site = Site { login: Some(("guest".to_owned(), "guest".to_owned())), ..registry.site().clone() };
    let engine = Ours(&lab.berth);
    engine.login(&site)?;
    engine.pull(&site, "some/image:latest")?;
    engine.tag(&site.name("some/image:latest"), &site.name("some/image:2"))?;
    engine.run(&["push", &site.name("some/image:2")])?.fails(1, "authentication required")?;
    engine.run(&["rmi", &site.name("some/image:2"), &site.name("some/image:latest")])?.ok()?;
    let wrong = Site { login: Some(("guest".to_owned(), "wrong".to_owned())), ..registry.site().clone() };
    let refused = engine.login(&wrong);
    ensure!(format!("{refused:?}").contains("unauthorized"), "{refused:?}");
    lab.finish()
}
