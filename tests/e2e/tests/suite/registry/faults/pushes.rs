//! What goes wrong on the way of a push.

use anyhow::{Context, Result, ensure};
use e2e::Berth;
use e2e::image::Image;
use e2e::registry::engines::Ours;
use e2e::registry::{Engine, Fault, Faulty, Picture, noise};

const ALWAYS: u32 = u32::MAX;

fn pushed(berth: &Berth, name: &str, words: Option<&[&str]>, break_it: impl FnOnce(&Faulty)) -> Result<()> {
    let faulty = Faulty::start(&Picture::default())?;
    let (engine, site) = (Ours(berth), faulty.site());
    engine.tag("large:1", &site.name("some/image:1"))?;
    break_it(&faulty);
    let ran = engine.run(&["push", &site.name("some/image:1")])?;
    if let Some(words) = words {
        ensure!(ran.code == 1, "{name}: {ran:?}");
        for word in words {
            ensure!(ran.stderr.contains(word), "{name}: not {word:?} in {:?}", ran.stderr);
        }
        faulty.mend();
        engine.push(&site, "some/image:1").context(name.to_owned())?;
    } else {
        ran.ok().context(name.to_owned())?;
    }
    // whole, and readable
    let id = engine.id("large:1")?;
    engine.remove(&site.name("some/image:1"))?;
    engine.pull(&site, "some/image:1").context(name.to_owned())?;
    ensure!(engine.id(&site.name("some/image:1"))? == id);
    engine.remove(&site.name("some/image:1"))
}

#[test]
fn uploads_that_break() -> Result<()> {
    let berth = Berth::bare(&[])?;
    let mut image = Image::scratch();
    image.layer(|layer| layer.file("large", 0o644, &noise(9, 2 << 20)))?;
    berth.load(&image, "large:1")?;
    pushed(&berth, "nothing wrong", None, |_| {})?;
    pushed(&berth, "500 at the beginning", None, |faulty| {
        faulty.rule(Some("POST"), "/blobs/uploads/", 0, 1, Fault::error(500, "UNKNOWN", "again"));
    })?;
    pushed(&berth, "the connection is closed in the middle", None, |faulty| {
        faulty.rule(Some("PATCH"), "/blobs/uploads/", 0, 1, Fault::Deaf(100_000));
    })?;
    pushed(&berth, "the connection is closed at the end", None, |faulty| {
        faulty.rule(Some("PUT"), "/blobs/uploads/", 0, 1, Fault::Deaf(100_000));
    })?;
    pushed(&berth, "429 in the middle", None, |faulty| {
        faulty.rule(Some("PATCH"), "/blobs/uploads/", 0, 1, Fault::Busy(1));
    })?;
    pushed(&berth, "503 for the manifest", None, |faulty| {
        faulty.rule(Some("PUT"), "/manifests/", 0, 1, Fault::error(503, "UNAVAILABLE", "again"));
    })?;
    pushed(&berth, "denied", Some(&["not for you"]), |faulty| {
        faulty.rule(Some("POST"), "/blobs/uploads/", 0, ALWAYS, Fault::error(403, "DENIED", "not for you"));
    })?;
    pushed(&berth, "no room", Some(&["quota"]), |faulty| {
        faulty.rule(
            Some("PUT"),
            "/manifests/",
            0,
            ALWAYS,
            Fault::error(413, "SIZE_INVALID", "quota is used up"),
        );
    })?;
    pushed(&berth, "no place to upload to", Some(&[]), |faulty| {
        let answer = Fault::Answer(202, Vec::new(), std::sync::Arc::default());
        faulty.rule(Some("POST"), "/blobs/uploads/", 0, ALWAYS, answer);
    })?;
    pushed(&berth, "an endless answer", Some(&[]), |faulty| {
        faulty.rule(Some("POST"), "/blobs/uploads/", 0, ALWAYS, Fault::EndlessError(500));
    })?;
    pushed(&berth, "another digest comes back", Some(&["sha256:"]), |faulty| {
        let other = format!("sha256:{}", "0".repeat(64));
        let wrong = Fault::Header("Docker-Content-Digest".to_owned(), other);
        faulty.rule(Some("PUT"), "/manifests/", 0, ALWAYS, wrong);
    })?;
    berth.berth(["rmi", "large:1"])?.ok()?;
    berth.finish()
}
