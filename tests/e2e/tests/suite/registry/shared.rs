//! Pulls at the same time share what they have in common.

use std::process::{Child, Stdio};

use anyhow::{Context, Result, ensure};
use e2e::image::Image;
use e2e::pty::Terminal;
use e2e::registry::{Fault, Faulty, Packing, Picture, Style, noise};
use e2e::{Berth, programs};

fn pictures() -> Result<(Picture, Picture)> {
    let mut one = Image::scratch();
    one.layer(|layer| layer.file("common", 0o644, &noise(30, 3_000_000)))?;
    let mut other = one.clone();
    one.layer(|layer| layer.file("one", 0o644, &noise(31, 500_000)))?;
    other.layer(|layer| layer.file("other", 0o644, &noise(32, 500_000)))?;
    let picture = |image| Picture::of(image, Style::Docker, &[Packing::Gzip]);
    Ok((picture(&one)?, picture(&other)?))
}

fn end(mut child: Child) -> Result<()> {
    let status = programs::wait(&mut child, programs::PATIENCE)?.context("a pull does not end")?;
    ensure!(status.success(), "a pull ended with {status}");
    Ok(())
}

#[test]
fn each_layer_is_fetched_once() -> Result<()> {
    let berth = Berth::bare(&[])?;
    let (one, other) = pictures()?;
    // slow enough that all are at it together
    let (first, second) = (Faulty::start(&one)?, Faulty::start(&other)?);
    first.fault("/blobs/", u32::MAX, Fault::Slow(4 << 20));
    second.fault("/blobs/", u32::MAX, Fault::Slow(4 << 20));
    let names = [first.site().name("a/image:latest"), second.site().name("b/image:latest")];
    let mut pulls = Vec::new();
    for name in [&names[0], &names[1], &names[0], &names[1], &names[0]] {
        let mut command = match pulls.len() % 2 {
            0 => berth.berth_command(["pull", name])?,
            _ => berth.docker_command(["pull", name])?,
        };
        pulls.push(command.stdout(Stdio::null()).spawn()?);
    }
    for pull in pulls {
        end(pull)?;
    }
    for (name, picture) in names.iter().zip([&one, &other]) {
        ensure!(berth.berth(["image", "inspect", "-f", "{{.Id}}", name])?.ok()? == picture.id()?);
        super::killed::whole(&berth, name, picture)?;
    }
    for (digest, size) in one.layers()?.iter().chain(&other.layers()?) {
        let fetched = first.fetched(digest) + second.fetched(digest);
        ensure!(fetched == *size, "{digest}: {fetched} of {size}");
    }
    berth.berth(["rmi", &names[0], &names[1]])?.ok()?;
    berth.finish()
}

/// The one who began goes away; who waits for the same gets it all the same, and nothing is fetched twice.
#[test]
fn the_first_one_may_go_away() -> Result<()> {
    let berth = Berth::bare(&[])?;
    let (one, _) = pictures()?;
    let faulty = Faulty::start(&one)?;
    let common = one.layers()?[0].0.clone();
    faulty.fault(&common, 1, Fault::Hold(1_000_000));
    let name = faulty.site().name("a/image:latest");
    let mut first =
        berth.berth_command(["pull", &name])?.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    programs::eventually("the first has begun", || Ok((faulty.fetched(&common) > 900_000).then_some(())))?;
    // on a terminal the client shows how far a layer is: the second one waits for the same
    let mut second = Terminal::spawn(&mut berth.docker_command(["pull", &name])?)?;
    second.expect("Downloading ")?;
    first.kill()?;
    first.wait()?;
    // its connection is given up before the registry goes on: what that would send into it would be lost
    programs::eventually("the second one has asked for the rest", || {
        Ok((faulty.asked("GET", &common).len() == 2).then_some(()))
    })?;
    faulty.release();
    let (code, said) = second.wait()?;
    ensure!(code == 0, "the second pull: {said}");
    ensure!(berth.berth(["image", "inspect", "-f", "{{.Id}}", &name])?.ok()? == one.id()?);
    // what had come by the first one's connection stays
    let (fetched, size) = (faulty.fetched(&common), one.layers()?[0].1);
    ensure!(fetched < size + 300_000, "{fetched} of {size}");
    berth.berth(["rmi", &name])?.ok()?;
    berth.finish()
}

/// A layer that is there is not asked for, whoever brought it.
#[test]
fn what_is_there_is_not_fetched() -> Result<()> {
    let berth = Berth::bare(&[])?;
    let (one, other) = pictures()?;
    let (first, second) = (Faulty::start(&one)?, Faulty::start(&other)?);
    let names = [first.site().name("a/image:latest"), second.site().name("b/image:latest")];
    berth.berth(["pull", &names[0]])?.ok()?;
    let shown = berth.berth(["pull", &names[1]])?.ok()?;
    ensure!(shown.contains("Already exists"), "{shown}");
    let common = &one.layers()?[0].0;
    ensure!(second.asked("GET", common).is_empty(), "{:?}", second.asked("GET", common));
    // and the same image once more: neither layers nor the configuration
    first.forget();
    let shown = berth.berth(["pull", &names[0]])?.ok()?;
    ensure!(shown.contains("Image is up to date"), "{shown}");
    ensure!(first.asked("GET", "/blobs/").is_empty(), "{:?}", first.seen());
    berth.berth(["rmi", &names[0], &names[1]])?.ok()?;
    berth.finish()
}
