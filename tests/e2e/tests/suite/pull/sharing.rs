//! Pulls at the same time, pulls whose clients go away, and pulls that a killed daemon has left.

use std::io::Read as _;

use anyhow::{Context, Result, ensure};
use e2e::daemon::Berth;
use e2e::http;
use e2e::registry::{Fault, Faulty, Packing, Style};

use super::{picture, short};

/// Several pulls of one image fetch each of its blobs once, and each of them hears how it goes.
#[test]
fn pulls_at_the_same_time_share_the_work() -> Result<()> {
    let berth = Berth::bare(&[])?;
    let picture = picture(Style::Oci, &[Packing::Gzip], &[3 << 20])?;
    let faulty = Faulty::start(&picture)?;
    let (layer, size) = picture.layers()?.pop().context("no layer")?;
    faulty.fault(&format!("/blobs/{layer}"), 1, Fault::Hold(1_500_000));
    let name = faulty.site().name("s/h:1");
    let ask = || http::ask(berth.root(), "POST", &format!("/images/create?fromImage={name}"));
    let mut first = ask()?;
    loop {
        let line = first.line()?.context("the first pull ended")?;
        if line["status"] == "Downloading" && line["id"] == short(&layer) {
            break;
        }
    }
    let mut second = ask()?;
    loop {
        let line = second.line()?.context("the second pull ended")?;
        if line["status"] == "Pulling fs layer" && line["id"] == short(&layer) {
            break;
        }
    }
    faulty.release();
    for pull in [first, second] {
        let text = pull.text()?;
        ensure!(text.contains("Status: Downloaded newer image"), "{text}");
        ensure!(text.contains("Pull complete"), "{text}");
    }
    ensure!(faulty.fetched(&layer) == size, "{} of {size}", faulty.fetched(&layer));
    berth.finish()
}

/// A pull ends with its client, and the next one fetches only what is missing; also after the daemon was killed.
#[test]
fn only_what_is_missing_is_fetched_again() -> Result<()> {
    let mut berth = Berth::bare(&[])?;
    let picture = picture(Style::Oci, &[Packing::Gzip], &[4 << 20])?;
    let faulty = Faulty::start(&picture)?;
    let (layer, size) = picture.layers()?.pop().context("no layer")?;
    let name = faulty.site().name("s/h:1");
    let half = 2 << 20;
    for killed in [false, true] {
        faulty.forget();
        faulty.fault(&format!("/blobs/{layer}"), 1, Fault::Hold(half));
        let mut pull = http::ask(berth.root(), "POST", &format!("/images/create?fromImage={name}"))?;
        loop {
            let line = pull.line()?.context("the pull ended")?;
            let current = line["progressDetail"]["current"].as_u64().unwrap_or(0);
            if line["id"] == short(&layer) && current > half / 2 {
                break;
            }
        }
        if killed {
            berth.kill()?;
            drop(pull);
            berth.spawn()?;
        } else {
            drop(pull);
        }
        ensure!(berth.docker(["images", "-aq"])?.ok()?.is_empty());
        faulty.release();
        faulty.forget();
        let said = berth.berth(["pull", &name])?.ok()?;
        ensure!(said.contains("Downloaded newer image"), "{said}");
        let fetched = faulty.fetched(&layer);
        ensure!(fetched < size - half / 2, "{killed}: {fetched} of {size} were fetched again");
        ensure!(berth.berth(["run", "--rm", &name, "wc", "-c", "/noise0"])?.ok()?.starts_with("4194304 "));
        berth.berth(["rmi", &name])?.ok()?;
    }
    berth.finish()
}

/// A client that goes away ends its pull at once.
#[test]
fn a_pull_ends_with_its_client() -> Result<()> {
    let berth = Berth::bare(&[])?;
    let picture = picture(Style::Oci, &[Packing::Gzip], &[1 << 20])?;
    let faulty = Faulty::start(&picture)?;
    let (layer, _) = picture.layers()?.pop().context("no layer")?;
    faulty.fault(&format!("/blobs/{layer}"), 1, Fault::Hold(1000));
    let name = faulty.site().name("s/h:1");
    let mut command = berth.berth_command(["pull", &name])?;
    let mut client = command.stdout(std::process::Stdio::piped()).spawn()?;
    let mut stdout = client.stdout.take().context("no output")?;
    let mut seen = String::new();
    let mut buffer = [0; 4096];
    while !seen.contains("Pulling fs layer") {
        let count = stdout.read(&mut buffer)?;
        ensure!(count > 0, "{seen}");
        seen.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
    client.kill()?;
    client.wait()?;
    // what the daemon waits for at its end is requests that go on: there is none
    faulty.release();
    berth.finish()
}
