//! What a pull says, and what is there afterwards.

use anyhow::{Result, ensure};
use e2e::daemon::Berth;
use e2e::http;
use e2e::registry::{Faulty, Kind, Packing, Registry, Style};

use super::{digests, picture, short};

#[test]
fn an_image_is_pulled_runs_and_is_up_to_date() -> Result<()> {
    let berth = Berth::bare(&[])?;
    let mut registry = Registry::start(Kind::Debian)?;
    let picture = picture(Style::Docker, &[Packing::Gzip], &[70_000, 1_000])?;
    picture.push(&registry.probe_of("some/image")?, "some/image", "1")?;
    let name = registry.site().name("some/image:1");
    let (repository, _) = name.rsplit_once(':').unwrap_or_default();

    let said = berth.berth(["pull", &name])?.ok()?;
    let mut lines: Vec<&str> = said.lines().collect();
    ensure!(lines.first() == Some(&"1: Pulling from some/image"), "{said}");
    for (digest, _) in picture.layers()? {
        for word in ["Pulling fs layer", "Verifying Checksum", "Download complete", "Pull complete"] {
            ensure!(lines.contains(&format!("{}: {word}", short(&digest)).as_str()), "{word}: {said}");
        }
    }
    let end = lines.split_off(lines.len() - 3);
    ensure!(end[0] == format!("Digest: {}", picture.root), "{said}");
    ensure!(end[1] == format!("Status: Downloaded newer image for {name}"), "{said}");
    ensure!(end[2] == name, "{said}");

    ensure!(berth.docker(["image", "inspect", "-f", "{{.Id}}", &name])?.ok()? == picture.id()?);
    ensure!(digests(&berth, &name)? == format!("{repository}@{}", picture.root));
    ensure!(berth.berth(["run", "--rm", &name, "wc", "-c", "/noise0"])?.ok()?.starts_with("70000 "));
    let events =
        berth.berth(["events", "--since", "10m", "--until", "0s", "--filter", "event=pull"])?.ok()?;
    ensure!(events.contains(&format!("image pull {name} (")) && events.contains(repository), "{events}");

    let again = berth.docker(["pull", &name])?.ok()?;
    let expected = format!(
        "1: Pulling from some/image\nDigest: {}\nStatus: Image is up to date for {name}\n{name}",
        picture.root
    );
    ensure!(again == expected, "{again}");
    ensure!(berth.berth(["pull", "-q", &name])?.ok()? == name);
    // by digest, with and without a tag beside it
    let exact = format!("{repository}@{}", picture.root);
    for wanted in [exact.clone(), format!("{name}@{}", picture.root)] {
        let said = berth.berth(["pull", &wanted])?.ok()?;
        ensure!(said.starts_with(&format!("{exact}: Pulling from some/image\n")), "{said}");
        ensure!(said.contains(&format!("Status: Image is up to date for {exact}\n")), "{said}");
    }
    registry.terminate()?;
    berth.finish()
}

#[test]
fn all_tags_and_all_packings() -> Result<()> {
    let berth = Berth::bare(&[])?;
    let mut registry = Registry::start(Kind::Debian)?;
    let probe = registry.probe_of("a/b")?;
    let all = [Packing::Zstd, Packing::Plain, Packing::Gzip];
    let new = picture(Style::Oci, &all, &[5_000, 6_000])?;
    new.push(&probe, "a/b", "new")?;
    picture(Style::Docker, &[Packing::Gzip], &[5_000])?.push(&probe, "a/b", "old")?;
    let name = registry.site().name("a/b");
    berth.berth(["pull", "-a", &format!("{name}:new")])?.fails(1, "tag can't be used with --all-tags/-a")?;
    let said = berth.berth(["pull", "-a", &name])?.ok()?;
    for part in ["new: Pulling from a/b", "old: Pulling from a/b", "Already exists"] {
        ensure!(said.contains(part), "{part}: {said}");
    }
    ensure!(said.ends_with(&format!("Status: Downloaded newer image for {name}\n{name}")), "{said}");
    let tags = berth.docker(["images", "--format", "{{.Tag}}", &name])?.ok()?;
    ensure!(tags.contains("new") && tags.contains("old"), "{tags}");
    ensure!(
        berth
            .berth(["run", "--rm", &format!("{name}:new"), "wc", "-c", "/noise1"])?
            .ok()?
            .starts_with("6000 ")
    );
    registry.terminate()?;
    berth.finish()
}

/// Failures have Docker's statuses and words, and leave nothing.
#[test]
fn failures() -> Result<()> {
    let berth = Berth::bare(&[])?;
    let mut registry = Registry::start(Kind::Debian)?;
    let name = registry.site().name("no/such");
    berth.berth(["pull", &format!("{name}:1")])?.fails(
        1,
        &format!(
            "Error response from daemon: manifest for {name}:1 not found: manifest unknown: manifest unknown"
        ),
    )?;
    let (address, _) = name.split_once('/').unwrap_or_default();
    let ask = |path: &str| http::ask(berth.root(), "POST", path);
    ensure!(ask(&format!("/images/create?fromImage={name}&tag=1"))?.status == 404);
    ensure!(ask("/images/create?fromImage=A")?.status == 400);
    ensure!(ask(&format!("/images/create?fromImage={name}&tag=1&platform=a/b/c/d"))?.status == 400);
    registry.terminate()?;
    let gone = ask(&format!("/images/create?fromImage={name}&tag=1"))?;
    ensure!(gone.status == 500);
    let text = gone.text()?;
    ensure!(text.contains(&format!("dial tcp {address}: connect: connection refused")), "{text}");

    let picture = picture(Style::Oci, &[Packing::Gzip], &[50_000])?;
    let faulty = Faulty::start(&picture)?;
    let (layer, _) = picture.layers()?.pop().unwrap_or_default();
    faulty.fault(&format!("/blobs/{layer}"), 100, e2e::registry::Fault::Flip(40_000));
    berth.berth(["pull", &faulty.site().name("x:1")])?.fails(1, "expected digest")?;
    ensure!(berth.docker(["images", "-aq"])?.ok()?.is_empty());
    berth.finish()
}

/// What `run` does for an image that is not there.
#[test]
fn run_pulls_what_is_missing() -> Result<()> {
    let berth = Berth::bare(&[])?;
    let mut registry = Registry::start(Kind::Debian)?;
    let picture = picture(Style::Oci, &[Packing::Gzip], &[10])?;
    picture.push(&registry.probe_of("r/i")?, "r/i", "latest")?;
    let name = registry.site().name("r/i");
    berth.berth(["run", "--rm", "--pull", "never", &name, "true"])?.fails(125, "No such image")?;
    let ran = berth.berth(["run", "--rm", &name, "echo", "hi"])?;
    ensure!(ran.stdout == "hi\n", "{ran:?}");
    ensure!(ran.stderr.starts_with(&format!("Unable to find image '{name}:latest' locally\n")), "{ran:?}");
    ensure!(ran.stderr.contains(&format!("Status: Downloaded newer image for {name}:latest\n")), "{ran:?}");
    let ran = berth.berth(["run", "--rm", "--pull", "always", &name, "echo", "hi"])?;
    ensure!(ran.stderr.contains("Image is up to date") && ran.stdout == "hi\n", "{ran:?}");
    ensure!(berth.berth(["run", "--rm", &name, "echo", "hi"])?.stderr.is_empty());
    registry.terminate()?;
    berth.finish()
}
