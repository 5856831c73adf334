//! `DOCKER_BUILDKIT=1 docker build`, by the last client that needs no plugin for it.

use anyhow::{Context as _, Result, ensure};
use e2e::daemon::{Berth, IMAGE};
use e2e::programs;

use super::{Context, found_below, no_places};

/// What is no part of any image.
const SECRET: &str = "correct-horse-battery-staple";

/// The client opens its session beside the build, and must not hear of the failure before it serves it: it would wait
/// for ever.
#[test]
fn what_fails_at_once_is_told() -> Result<()> {
    let berth = Berth::start()?;
    let context = Context::new(&berth, "fails", &[("Dockerfile", &format!("FROM {IMAGE}\n"))])?;
    for _ in 0..20 {
        // refused with the request, and by the build before it has asked the client for anything
        for wrong in [["--isolation", "hyperv"], ["--network", "nonsense"]] {
            let ran = programs::run(&mut context.buildkit_command(&wrong)?)?;
            ensure!(ran.code == 1 && ran.stderr.contains(wrong[1]), "{wrong:?}: {} {}", ran.code, ran.stderr);
        }
    }
    berth.finish()
}

#[test]
fn stages_with_a_secret_that_stays_nowhere() -> Result<()> {
    let berth = Berth::start()?;
    let dockerfile = format!(
        "FROM {IMAGE} AS make\n\
         RUN --mount=type=secret,id=token,required wc -c < /run/secrets/token > /length\n\
         RUN --mount=type=secret,id=token,target=/t,uid=1000,mode=0440 stat -c '%u %a' /t > /owner; ! ls /run/secrets\n\
         COPY files/ /copied/\n\
         FROM {IMAGE}\n\
         COPY --from=make /length /owner /\n\
         COPY --from=make /copied /copied\n\
         CMD [\"cat\", \"/length\", \"/owner\", \"/copied/one\"]\n"
    );
    let files = [("Dockerfile", dockerfile.as_str()), ("files/one", "words of a layer"), ("secret", SECRET)];
    let context = Context::new(&berth, "secret", &files)?;
    let secret = tempfile::NamedTempFile::new()?;
    std::fs::rename(context.path().join("secret"), secret.path())?;
    let flag = format!("id=token,src={}", secret.path().display());
    let build = |more: &[&str]| {
        programs::run(&mut context.buildkit_command(&[&["--secret", &flag], more].concat())?)?.ok()
    };
    build(&["-t", "secret"])?;
    build(&["-t", "make", "--target", "make"])?;
    let said = berth.docker(["run", "--rm", "secret"])?.ok()?;
    ensure!(said == format!("{}\n1000 440\nwords of a layer", SECRET.len()), "{said}");
    // in no layer and no configuration of either stage, and nowhere else: the daemon's log is searched, too
    let archive = berth.root().join("saved.tar");
    berth.docker(["save", "-o", &archive.to_string_lossy(), "secret", "make"])?.ok()?;
    let saved = std::fs::read(&archive)?;
    let holds = |text: &str| saved.windows(text.len()).any(|part| part == text.as_bytes());
    ensure!(holds("words of a layer"), "the archive's layers can't be searched");
    ensure!(!holds(SECRET), "the secret is in an image");
    ensure!(found_below(berth.root(), SECRET.as_bytes())?.is_none(), "the secret was kept");
    let history = berth.docker(["history", "--no-trunc", "--format", "{{.CreatedBy}}", "make"])?.ok()?;
    ensure!(history.contains("wc -c < /run/secrets/token") && !history.contains(SECRET), "{history}");
    no_places(&berth)?;
    berth.finish()
}

#[test]
fn what_has_not_changed_neither_travels_nor_runs() -> Result<()> {
    let berth = Berth::start()?;
    let dockerfile = format!(
        "FROM {IMAGE}\nCOPY big /big\nRUN cat /proc/sys/kernel/random/uuid > /first\n\
         COPY small /small\nRUN cat /proc/sys/kernel/random/uuid > /second\n"
    );
    let big = "big\n".repeat(500_000);
    let files = [("Dockerfile", dockerfile.as_str()), ("big", &big), ("small", "one"), ("left/out", &big)];
    let context = Context::new(&berth, "again", &files)?;
    std::fs::write(context.path().join(".dockerignore"), "left\n")?;
    let build = || -> Result<(String, String)> {
        let said = programs::run(&mut context.buildkit_command(&["-t", "again"])?)?;
        let said = if said.code == 0 { said.stderr } else { said.ok()? };
        Ok((said, berth.docker(["run", "--rm", "again", "cat", "/first", "/second"])?.ok()?))
    };
    let cached = |said: &str| said.lines().filter(|line| line.ends_with(" CACHED")).count();
    // of the context's own transfer: the last that is told of is the whole
    let travelled = |said: &str| -> Option<String> {
        let told = said.lines().filter_map(|line| line.split_once("transferring context: "));
        told.map(|(_, told)| told.split(' ').next().unwrap_or_default().to_owned()).next_back()
    };
    let (said, first) = build()?;
    ensure!(travelled(&said).is_some_and(|size| size.starts_with("2.00") && size.ends_with("MB")), "{said}");
    let (said, second) = build()?;
    ensure!(cached(&said) == 4 && second == first, "{said}");
    ensure!(travelled(&said).is_some_and(|size| !size.ends_with("MB")), "{said}");
    std::fs::write(context.path().join("small"), "another")?;
    let (said, third) = build()?;
    ensure!(cached(&said) == 2, "{said}");
    ensure!(third.lines().next() == first.lines().next() && third != first, "{third}");
    ensure!(travelled(&said).is_some_and(|size| !size.ends_with("MB")), "{said}");
    // what is gone at the client's is gone here
    std::fs::remove_file(context.path().join("small"))?;
    let gone = programs::run(&mut context.buildkit_command(&["-t", "again"])?)?;
    gone.fails(1, "\"small\": not found")?;
    berth.finish()
}

#[test]
fn a_failing_step_and_its_words() -> Result<()> {
    let berth = Berth::start()?;
    let dockerfile = format!("FROM {IMAGE}\nRUN echo before; exit 7\n");
    let context = Context::new(&berth, "fails", &[("Dockerfile", &dockerfile)])?;
    let ran = programs::run(&mut context.buildkit_command(&["-t", "never"])?)?;
    ensure!(ran.stderr.contains("before"), "{}", ran.stderr);
    ran.fails(1, "process \"/bin/sh -c echo before; exit 7\" did not complete successfully: exit code: 7")?;
    berth.docker(["image", "inspect", "never"])?.fails(1, "No such image")?;
    no_places(&berth)?;
    berth.finish()
}

#[test]
fn files_for_the_client() -> Result<()> {
    let berth = Berth::start()?;
    let files = [("Dockerfile", "FROM scratch\nCOPY one /deep/it\n"), ("one", "made")];
    let context = Context::new(&berth, "files", &files)?;
    let out = berth.root().join("out");
    let run = |output: String| programs::run(&mut context.buildkit_command(&["-o", &output])?)?.ok();
    run(format!("type=local,dest={}", out.display()))?;
    ensure!(std::fs::read_to_string(out.join("deep/it"))? == "made");
    run(format!("type=tar,dest={}.tar", out.display()))?;
    let mut archive = tar::Archive::new(std::fs::File::open(out.with_extension("tar"))?);
    let last = archive.entries()?.last().context("the archive is empty")??;
    ensure!(last.path()?.to_str() == Some("deep/it") && last.size() == 4);
    no_places(&berth)?;
    berth.finish()
}
