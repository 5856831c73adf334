//! What goes wrong on the way of a blob.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::registry::Fault;

use super::{Ends, Lab, large, picture};

const ALWAYS: u32 = u32::MAX;

#[test]
fn connections_that_break() -> Result<()> {
    let (lab, picture) = (Lab::new()?, picture()?);
    let layer = large(&picture)?;
    let short = &layer["sha256:".len()..][..12];
    lab.case("cut at once", &picture, Ends::Says(&[short]), |faulty| {
        faulty.fault(&layer, ALWAYS, Fault::Cut(0));
        Ok(())
    })?;
    lab.case("cut once", &picture, Ends::Works, |faulty| {
        faulty.fault(&layer, 1, Fault::Cut(1_000_000));
        Ok(())
    })?;
    // What has come is not asked for again.
    lab.case("cut again and again, but further each time", &picture, Ends::Works, |faulty| {
        faulty.fault(&layer, 5, Fault::Cut(500_000));
        Ok(())
    })?;
    lab.case("the length is right, but of less", &picture, Ends::Says(&[short]), |faulty| {
        faulty.fault(&layer, ALWAYS, Fault::Short(10));
        Ok(())
    })?;
    lab.case("more than was said follows", &picture, Ends::Works, |faulty| {
        faulty.fault(
            "/blobs/",
            1,
            Fault::Padded(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc".to_vec()),
        );
        Ok(())
    })?;
    lab.case("the registry forgets ranges", &picture, Ends::Works, |faulty| {
        faulty.fault(&layer, 1, Fault::Cut(1_000_000));
        faulty.fault(&layer, ALWAYS, Fault::NoRanges);
        Ok(())
    })?;
    lab.finish()
}

#[test]
fn content_that_is_not_what_it_should_be() -> Result<()> {
    let (lab, picture) = (Lab::new()?, picture()?);
    let layer = large(&picture)?;
    lab.case("one byte is another", &picture, Ends::Says(&["sha256:"]), |faulty| {
        faulty.fault(&layer, ALWAYS, Fault::Flip(2_000_000));
        Ok(())
    })?;
    lab.case("another range than was asked for", &picture, Ends::Says(&["sha256:"]), |faulty| {
        faulty.fault(&layer, 1, Fault::Cut(1_000_000));
        faulty.fault(&layer, ALWAYS, Fault::WrongRange);
        Ok(())
    })?;
    lab.case("the content changes between ranges", &picture, Ends::Says(&["sha256:"]), |faulty| {
        faulty.fault(&layer, 1, Fault::Cut(1_000_000));
        faulty.fault(&layer, ALWAYS, Fault::Flip(2_000_000));
        Ok(())
    })?;
    lab.case("the wrong blob, and its digest in the header", &picture, Ends::Says(&["sha256:"]), |faulty| {
        let other = picture.layers()?[0].0.clone();
        let bytes = picture.blobs[&other].clone();
        let headers = vec![("Docker-Content-Digest".to_owned(), other)];
        faulty.fault(&layer, ALWAYS, Fault::Answer(200, headers, bytes));
        Ok(())
    })?;
    lab.finish()
}

#[test]
fn bodies_and_heads_without_an_end() -> Result<()> {
    let (lab, picture) = (Lab::new()?, picture()?);
    let layer = large(&picture)?;
    let size = picture.blobs[&layer].len() as u64;
    for (name, fault) in [
        ("an endless layer", Fault::Endless),
        ("an endless head of a layer", Fault::EndlessHead),
        ("an endless error", Fault::EndlessError(403)),
        ("an endless error that may pass", Fault::EndlessError(503)),
    ] {
        lab.case(name, &picture, Ends::Says(&[]), |faulty| {
            faulty.fault(&layer, ALWAYS, fault);
            Ok(())
        })?;
    }
    for (name, fault) in [
        ("an endless manifest", Fault::Endless),
        ("an endless head of a manifest", Fault::EndlessHead),
        ("an endless error of a manifest", Fault::EndlessError(404)),
    ] {
        lab.case(name, &picture, Ends::Says(&[]), |faulty| {
            faulty.fault("/manifests/", ALWAYS, fault);
            Ok(())
        })?;
    }
    let faulty = e2e::registry::Faulty::start(&picture)?;
    faulty.fault(&layer, ALWAYS, Fault::Endless);
    lab.run(&faulty, "an endless layer, counted", Ends::Says(&[]))?;
    // The kernel's buffers take some; each attempt stops where the layer should.
    let sent = faulty.fetched(&layer);
    ensure!(sent < 2 * (size + (16 << 20)), "{sent} bytes were taken of a layer of {size}");
    lab.finish()
}

#[test]
fn answers_that_say_no() -> Result<()> {
    let (lab, picture) = (Lab::new()?, picture()?);
    let layer = large(&picture)?;
    lab.case("a 500, then all is well", &picture, Ends::Works, |faulty| {
        faulty.fault(&layer, 1, Fault::error(500, "UNKNOWN", "try again"));
        Ok(())
    })?;
    lab.case("500 for ever", &picture, Ends::Says(&["out of paper"]), |faulty| {
        faulty.fault(&layer, ALWAYS, Fault::error(500, "UNKNOWN", "out of paper"));
        Ok(())
    })?;
    lab.case("503 for the manifest, then all is well", &picture, Ends::Works, |faulty| {
        faulty.fault("/manifests/", 1, Fault::error(503, "UNAVAILABLE", "starting"));
        Ok(())
    })?;
    let began = Instant::now();
    lab.case("429, to be asked again in two seconds", &picture, Ends::Works, |faulty| {
        faulty.fault(&layer, 1, Fault::Busy(2));
        Ok(())
    })?;
    ensure!(began.elapsed() >= Duration::from_secs(2), "asked again after {:?}", began.elapsed());
    lab.case("429 for ever", &picture, Ends::Says(&["429"]), |faulty| {
        faulty.fault(&layer, ALWAYS, Fault::Busy(0));
        Ok(())
    })?;
    lab.case("a layer that is not there", &picture, Ends::Says(&["no such blob"]), |faulty| {
        faulty.fault(&layer, ALWAYS, Fault::error(404, "BLOB_UNKNOWN", "no such blob"));
        Ok(())
    })?;
    lab.case("denied", &picture, Ends::Says(&["not for you"]), |faulty| {
        faulty.fault("/manifests/", ALWAYS, Fault::error(403, "DENIED", "not for you"));
        Ok(())
    })?;
    lab.case("escape sequences in an error", &picture, Ends::Says(&["red"]), |faulty| {
        faulty.fault("/manifests/", ALWAYS, Fault::error(403, "DENIED", "\u{1b}[31mred\u{202e}der"));
        Ok(())
    })?;
    lab.case("a redirect to itself", &picture, Ends::Says(&["redirect"]), |faulty| {
        faulty.fault(&layer, ALWAYS, Fault::Loop);
        Ok(())
    })?;
    lab.case("a redirect of the manifest to itself", &picture, Ends::Says(&["redirect"]), |faulty| {
        faulty.fault("/manifests/", ALWAYS, Fault::Loop);
        Ok(())
    })?;
    lab.case("a redirect to nowhere", &picture, Ends::Says(&["is no http or https URL"]), |faulty| {
        faulty.fault(&layer, ALWAYS, Fault::Away("gopher://[::".to_owned()));
        Ok(())
    })?;
    lab.finish()
}
