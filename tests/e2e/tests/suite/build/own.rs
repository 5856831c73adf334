//! `berth build`.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use e2e::daemon::{Berth, IMAGE};
use e2e::{image, programs};

use super::{Context, no_places};

#[test]
fn stages_arguments_and_files_that_tell_of_the_image() -> Result<()> {
    let berth = Berth::start()?;
    let dockerfile = format!(
        "FROM {IMAGE} AS first\nARG WHO=nobody\nRUN echo $WHO > /who\n\
         RUN cat /proc/sys/kernel/random/uuid > /once\nCMD [\"cat\", \"/who\"]\nFROM first\nRUN exit 1\n"
    );
    let context = Context::new(&berth, "own", &[("Dockerfile", &dockerfile)])?;
    let (id, metadata) = (context.path().join("id"), context.path().join("metadata"));
    let (id_file, metadata_file) = (id.display().to_string(), metadata.display().to_string());
    let first = ["--target", "first", "--build-arg", "WHO=you"];
    let told = ["-t", "own:1", "--iidfile", &id_file, "--metadata-file", &metadata_file];
    context.own(&[first.as_slice(), &told].concat())?.ok()?;
    let id = fs::read_to_string(id)?;
    ensure!(berth.docker(["image", "inspect", "-f", "{{.Id}}", "own:1"])?.ok()? == id);
    ensure!(berth.docker(["run", "--rm", "own:1"])?.ok()? == "you");
    let known: serde_json::Value = serde_json::from_slice(&fs::read(metadata)?)?;
    ensure!(known["containerimage.config.digest"] == id.as_str(), "{known}");
    ensure!(known["image.name"] == "docker.io/library/own:1", "{known}");
    // the cache gives the same image, and without it there is another
    let again = |more: &[&str]| context.own(&[first.as_slice(), &["-q"], more].concat())?.ok();
    ensure!(again(&[])? == id);
    let (fresh, other) = (again(&["--no-cache"])?, again(&["--build-arg", "WHO=me"])?);
    ensure!(fresh != id && other != id && fresh != other);
    ensure!(berth.docker(["run", "--rm", &other])?.ok()? == "me");
    no_places(&berth)?;
    berth.finish()
}

#[test]
fn files_for_the_client() -> Result<()> {
    let berth = Berth::start()?;
    let dockerfile = format!(
        "FROM {IMAGE} AS make\nRUN mkdir -p /out/deep && echo made > /out/deep/it && ln -s deep/it /out/link && chmod 750 /out/deep/it\n\
         FROM scratch\nCOPY --from=make /out/ /\n"
    );
    let context = Context::new(&berth, "files", &[("Dockerfile", &dockerfile)])?;
    let out = berth.root().join("out");
    context.own(&["--output", &format!("type=local,dest={}", out.display())])?.ok()?;
    ensure!(fs::read_to_string(out.join("link"))? == "made\n");
    ensure!(fs::read_link(out.join("link"))?.to_str() == Some("deep/it"));
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(out.join("deep/it"))?.permissions());
    ensure!(mode & 0o7777 == 0o750, "{mode:o}");
    let archive = berth.root().join("out.tar");
    context.own(&["--output", &format!("type=tar,dest={}", archive.display())])?.ok()?;
    let mut names = Vec::new();
    for entry in tar::Archive::new(fs::File::open(&archive)?).entries()? {
        names.push(entry?.path()?.display().to_string().trim_end_matches('/').to_owned());
    }
    names.sort();
    ensure!(names == ["deep", "deep/it", "link"], "{names:?}");
    // to standard output, what is told goes to the other
    let command = context.own_command(&["-o", "-"])?.output()?;
    ensure!(command.status.success() && command.stdout == fs::read(&archive)?);
    // an image's archive, which any daemon loads
    let saved = berth.root().join("image.tar");
    context.own(&["-t", "saved:1", "-o", &format!("type=docker,dest={}", saved.display())])?.ok()?;
    berth.docker(["load", "-i", &saved.to_string_lossy()])?.ok()?;
    berth.docker(["image", "inspect", "saved:1"])?.ok()?;
    no_places(&berth)?;
    berth.finish()
}

#[test]
fn contexts_and_dockerfiles_on_standard_input() -> Result<()> {
    let berth = Berth::start()?;
    let build = |args: &[&str], input: &[u8]| {
        let mut command = berth.berth_command(["build", "-q"])?;
        programs::run_with(command.args(args), input, programs::PATIENCE)
    };
    let says = |id: &str| berth.docker(["run", "--rm", id, "cat", "/it"])?.ok();
    let dockerfile = format!("FROM {IMAGE}\nCOPY one /it\n");
    let archive = image::archive(&[
        ("Dockerfile", &dockerfile),
        ("other/Dockerfile", &dockerfile.replace("one", "two")),
        ("one", "1"),
        ("two", "2"),
    ])?;
    ensure!(says(&build(&["-"], &archive)?.ok()?)? == "1");
    ensure!(says(&build(&["-f", "other/Dockerfile", "-"], &archive)?.ok()?)? == "2");
    let context = Context::new(&berth, "piped", &[("one", "of the directory")])?;
    let path = context.path().to_string_lossy();
    ensure!(says(&build(&["-f", "-", &path], dockerfile.as_bytes())?.ok()?)? == "of the directory");
    let alone = format!("FROM {IMAGE}\nRUN echo alone > /it\n");
    ensure!(says(&build(&["-"], alone.as_bytes())?.ok()?)? == "alone");
    build(&["-"], &archive[..archive.len() / 2 - 700])?.fails(1, "failed to build")?;
    build(&["-f", "-", "-"], b"")?.fails(1, "can't use stdin for both")?;
    no_places(&berth)?;
    berth.finish()
}

#[test]
fn checks_without_a_build() -> Result<()> {
    let berth = Berth::start()?;
    let good = format!("FROM {IMAGE} AS base\nCMD [\"true\"]\n");
    let context = Context::new(&berth, "good", &[("Dockerfile", &good)])?;
    ensure!(context.own(&["--check"])?.ok()? == "Check complete, no warnings found.");
    let odd = format!("FROM {IMAGE} as base\nCMD true\n");
    let context = Context::new(&berth, "odd", &[("Dockerfile", &odd)])?;
    let ran = context.own(&["--check"])?;
    for words in [
        "2 warnings have been found",
        "WARNING: FromAsCasing",
        "WARNING: JSONArgsRecommended",
        ">>> CMD true",
    ] {
        ensure!(ran.stdout.contains(words), "{words}: {}", ran.stdout);
    }
    ran.fails(1, "Dockerfile:1")?;
    let wrong = Context::new(&berth, "wrong", &[("Dockerfile", "FROM scratch\nRUNN x\n")])?;
    wrong.own(&["--check"])?.fails(1, "unknown instruction: RUNN")?;
    ensure!(berth.docker(["images", "-q"])?.ok()?.lines().count() == 1);
    berth.finish()
}

#[test]
fn what_goes_wrong_is_told_and_leaves_nothing() -> Result<()> {
    let berth = Berth::start()?;
    let fails = |name: &str, dockerfile: &str, words: &str| -> Result<()> {
        let dockerfile = dockerfile.replace("IMAGE", IMAGE);
        let context = Context::new(&berth, name, &[("Dockerfile", &dockerfile), ("a", "")])?;
        let id = context.path().join("id");
        fs::write(&id, "of an earlier build")?;
        let ran = context.own(&["-t", "never", "--iidfile", &id.to_string_lossy()])?;
        ensure!(!id.exists(), "{dockerfile}: an id was left");
        ran.fails(1, words).context(dockerfile)
    };
    fails(
        "exit",
        "FROM IMAGE\nRUN exit 7",
        "process \"/bin/sh -c exit 7\" did not complete successfully: exit code: 7",
    )?;
    fails("missing", "FROM IMAGE\nCOPY nothing /", "\"nothing\": not found")?;
    fails("unknown", "FROM IMAGE\nRUNN x", "unknown instruction: RUNN")?;
    fails("user", "FROM IMAGE\nUSER nosuch\nRUN true", "unable to find user nosuch")?;
    fails("stage", "FROM IMAGE\nCOPY --from=3 /a /", "invalid stage index 3")?;
    fails("empty", "", "Dockerfile")?;
    berth.docker(["image", "inspect", "never"])?.fails(1, "No such image")?;
    let nowhere = berth.root().join("nowhere");
    berth.berth(["build", &nowhere.to_string_lossy()])?.fails(1, "not found")?;
    no_places(&berth)?;
    berth.finish()
}

#[test]
fn one_layer_instead_of_many() -> Result<()> {
    // docker sends it to no other daemon; ours has it all the same
    let berth = Berth::with_environment(&[], &["--experimental"])?;
    let dockerfile = format!(
        "FROM {IMAGE}\nCOPY secret /secret\nRUN cat /proc/sys/kernel/random/uuid > /once && rm -r /home\n\
         RUN rm /secret\nENV A=b\nCMD [\"cat\", \"/once\"]\n"
    );
    let files = [("Dockerfile", dockerfile.as_str()), ("secret", "of the context")];
    let context = Context::new(&berth, "squashed", &files)?;
    let show = |image: &str, format: &str| berth.docker(["image", "inspect", "-f", format, image])?.ok();
    let layers = |image: &str| Ok::<usize, anyhow::Error>(show(image, "{{len .RootFS.Layers}}")?.parse()?);
    context.own(&["-t", "plain"])?.ok()?;
    context.own(&["--squash", "-t", "own"])?.ok()?;
    ensure!((layers("plain")?, layers("own")?) == (layers(IMAGE)? + 3, layers(IMAGE)? + 1));
    // the steps are not done again, neither with it nor without
    let once = |image: &str| berth.docker(["run", "--rm", image])?.ok();
    ensure!(once("own")? == once("plain")?);
    let told = context.build(&["--squash", "-t", "classic"])?.ok()?;
    ensure!(told.matches("Using cache").count() >= 3, "{told}");
    ensure!(layers("classic")? == layers("own")? && once("classic")? == once("own")?);
    let history = berth.docker(["history", "--no-trunc", "--format", "{{.Size}} {{.Comment}}", "classic"])?;
    let base = show(IMAGE, "{{.Id}}")?;
    let history = history.ok()?;
    let first = history.lines().next().unwrap_or_default();
    ensure!(first.contains("B merge sha256:") && first.ends_with(&format!(" to {base}")), "{history}");
    // the same is the same image again
    let id = show("own", "{{.Id}}")?;
    context.own(&["--squash", "-t", "own"])?.ok()?;
    ensure!(show("own", "{{.Id}}")? == id);
    // what was taken away again is nowhere in the image
    let found = |image: &str| -> Result<bool> {
        let saved = berth.root().join(format!("{image}.tar"));
        berth.docker(["save", "-o", &saved.to_string_lossy(), image])?.ok()?;
        Ok(fs::read(saved)?.windows(14).any(|part| part == b"of the context"))
    };
    ensure!((found("plain")?, found("own")?, found("classic")?) == (true, false, false));
    berth.docker(["run", "--rm", "own", "sh", "-c", "! test -e /home && ! test -e /secret"])?.ok()?;
    // an archive for others has the one layer, too
    let archive = berth.root().join("image.tar");
    context
        .own(&["--squash", "-t", "out", "-o", &format!("type=docker,dest={}", archive.display())])?
        .ok()?;
    berth.docker(["load", "-qi", &archive.to_string_lossy()])?.ok()?;
    ensure!(layers("out")? == layers("own")? && once("out")? == once("own")?);
    context
        .own(&["--squash", "--cache-to", "type=inline"])?
        .fails(1, "--squash and --cache-to type=inline")?;
    no_places(&berth)?;
    berth.finish()
}
