//! What a push sends, says and leaves.

use anyhow::{Context, Result, ensure};
use e2e::daemon::{Berth, IMAGE};
use e2e::http;
use e2e::registry::{Kind, Packing, Registry, Style};
use serde_json::json;

use super::{digests, picture};

/// An image that was made here: pushed, and found complete the second time; mounted into another repository.
#[test]
fn an_image_is_pushed_once() -> Result<()> {
    let berth = Berth::start()?;
    let mut registry = Registry::start(Kind::Debian)?;
    let (one, two) = (registry.site().name("a/one:1"), registry.site().name("a/two:1"));
    berth.berth(["tag", IMAGE, &one])?.ok()?;
    berth.berth(["tag", IMAGE, &two])?.ok()?;
    let said = berth.berth(["push", &one])?.ok()?;
    let (repository, _) = one.rsplit_once(':').context("no tag")?;
    let mut lines = said.lines();
    ensure!(lines.next() == Some(&format!("The push refers to repository [{repository}]")), "{said}");
    ensure!(said.contains(": Preparing\n") && said.contains(": Pushed\n"), "{said}");
    let end = lines.next_back().context("no end")?;
    let digest =
        end.strip_prefix("1: digest: ").and_then(|rest| rest.split(' ').next()).context("no digest")?;
    ensure!(end.starts_with("1: digest: sha256:") && end.contains(" size: "), "{said}");
    ensure!(digests(&berth, &one)?.contains(&format!("{repository}@{digest}")));
    let found = registry.probe_of("a/one")?.manifest("a/one", "1")?;
    ensure!(found.header("docker-content-digest") == Some(digest), "{found:?}");

    let again = berth.docker(["push", &one])?.ok()?;
    ensure!(again.contains(": Layer already exists") && again.contains(digest), "{again}");
    let mounted = berth.docker(["push", &two])?.ok()?;
    ensure!(mounted.contains(": Mounted from a/one") && mounted.contains(digest), "{mounted}");

    let answer = http::ask(berth.root(), "POST", &format!("/images/{}/push?tag=1", "x/y"))?;
    ensure!(answer.status == 400, "credentials must be said: {}", answer.status);
    let absent = berth.docker(["push", &registry.site().name("a/none")])?;
    absent.fails(1, "An image does not exist locally with the tag:")?;
    berth.berth(["rmi", "-f", IMAGE])?.ok()?;
    berth.berth(["pull", &one])?.ok()?;
    berth.berth(["run", "--rm", &one, "true"])?.ok()?;
    registry.terminate()?;
    berth.finish()
}

/// What was pulled is pushed to another registry with the same digest, whoever made it and however it is packed.
#[test]
fn what_was_pulled_keeps_its_digest() -> Result<()> {
    let berth = Berth::bare(&[])?;
    let (mut from, mut to) = (Registry::start(Kind::Debian)?, Registry::start(Kind::Debian)?);
    for (style, packings) in
        [(Style::Docker, [Packing::Gzip, Packing::Plain]), (Style::Oci, [Packing::Zstd, Packing::Gzip])]
    {
        let repository = format!("{style:?}").to_lowercase();
        let picture = picture(style, &packings, &[40_000, 50_000])?;
        picture.push(&from.probe_of(&repository)?, &repository, "1")?;
        let (source, target) = (from.site().name(&format!("{repository}:1")), to.site().name(&repository));
        berth.berth(["pull", &source])?.ok()?;
        berth.berth(["tag", &source, &format!("{target}:2")])?.ok()?;
        let said = berth.berth(["push", "-a", &target])?.ok()?;
        ensure!(said.contains(&format!("2: digest: {} size: ", picture.root)), "{said}");
        let found = to.probe_of(&repository)?.manifest(&repository, "2")?;
        ensure!(found.body == picture.bytes()?.1, "{said}");
        ensure!(found.header("content-type") == Some(picture.bytes()?.0.as_str()));
    }
    from.terminate()?;
    to.terminate()?;
    berth.finish()
}

/// Programs are told as well.
#[test]
fn the_stream_ends_with_the_result() -> Result<()> {
    let berth = Berth::start()?;
    let mut registry = Registry::start(Kind::Debian)?;
    let name = registry.site().name("a/one:1");
    berth.berth(["tag", IMAGE, &name])?.ok()?;
    let python = format!(
        "import docker, json\nclient = docker.DockerClient('{}')\n\
         print(json.dumps(list(client.api.push('{}', tag='1', stream=True, decode=True))))",
        berth.host().replace("unix://", "unix:/"),
        registry.site().name("a/one")
    );
    let ran = e2e::programs::run(&mut e2e::programs::command("python3".as_ref(), ["-c", &python]))?.ok()?;
    let messages: Vec<serde_json::Value> = serde_json::from_str(&ran)?;
    let last = messages.last().context("nothing was said")?;
    ensure!(last["aux"]["Tag"] == "1" && last["aux"]["Size"].as_u64() > Some(0), "{last}");
    ensure!(last["progressDetail"] == json!({}), "{last}");
    registry.terminate()?;
    berth.finish()
}
