//! Caches that one daemon leaves in a registry, and another finds there.

use anyhow::{Result, ensure};
use e2e::daemon::{Berth, IMAGE};
use e2e::programs;
use e2e::registry::{Kind, Registry};

use super::Context;

const UUID: &str = "cat /proc/sys/kernel/random/uuid";

fn cached(said: &str) -> usize {
    said.lines().filter(|line| line.ends_with(" CACHED")).count()
}

/// Two stages: a step that never makes the same again, a copy, and another such step; of these the last is in the image.
fn stages() -> String {
    format!(
        "FROM {IMAGE} AS make\nRUN {UUID} > /one\nCOPY file /file\nRUN {UUID} > /two\n\
         FROM {IMAGE}\nCOPY --from=make /two /\nCMD [\"cat\", \"/two\"]\n"
    )
}

/// Builds, and says what was told.
fn build(context: &Context<'_>, more: &[&str]) -> Result<String> {
    let ran = context.own(&[&["--progress", "plain"], more].concat())?;
    let said = ran.stderr.clone();
    ran.ok()?;
    Ok(said)
}

/// Nothing is here any more but the base image.
fn forget(berth: &Berth, image: &str) -> Result<()> {
    berth.berth(["rmi", "-f", image])?.ok()?;
    berth.berth(["builder", "prune", "-af"])?.ok()?;
    Ok(())
}

fn travels(kind: Kind) -> Result<()> {
    let registry = Registry::start(kind)?;
    let (first, second) = (Berth::start()?, Berth::start()?);
    let files = [("Dockerfile", stages()), ("file", "words".to_owned())];
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let (from, to) = (Context::new(&first, "one", &files)?, Context::new(&second, "other", &files)?);
    let says = |berth: &Berth| berth.docker(["run", "--rm", "built"])?.ok();
    let export =
        |more: &str| format!("type=registry,mode=max,ref={}{more}", registry.site().name("caches/all:1"));
    // the last is an index that lists what is no manifest
    for more in ["", ",oci-mediatypes=false", ",image-manifest=false"] {
        let name = registry.site().name("caches/all:1");
        build(&from, &["-t", "built", "--cache-to", &export(more)])?;
        let said = build(&to, &["-t", "built", "--cache-from", &format!("type=registry,ref={name}")])?;
        ensure!(cached(&said) == 4, "{more}: {said}");
        ensure!(says(&first)? == says(&second)?, "{more}: another image was built");
        // what depends on another file is done again, and only that
        let changed = Context::new(&second, "changed", &[("Dockerfile", &stages()), ("file", "others")])?;
        let said = build(&changed, &["-t", "changed", "--cache-from", &name])?;
        ensure!(cached(&said) == 1, "{more}: {said}");
        second.berth(["rmi", "changed"])?.ok()?;
        forget(&second, "built")?;
    }
    // only what is in the image goes along, and that is of no use without what it was copied from
    let name = registry.site().name("caches/min:1");
    build(&from, &["-t", "built", "--cache-to", &format!("type=registry,ref={name}")])?;
    let said = build(&to, &["-t", "built", "--cache-from", &name])?;
    ensure!(cached(&said) == 0 && says(&first)? != says(&second)?, "{said}");
    forget(&second, "built")?;
    // what isn't there is told, and the build does without
    let nothing = registry.site().name("caches/nothing:1");
    build(&to, &["-t", "built", "--cache-from", &nothing])?;
    let nowhere = format!("type=registry,ref=127.0.0.1:1/none:1{}", ",ignore-error=true");
    build(&to, &["-t", "built", "--cache-to", &nowhere])?;
    to.own(&["--cache-to", "type=registry,ref=127.0.0.1:1/none:1"])?.fails(1, "export the cache to")?;
    to.own(&["--cache-to", "type=s3,bucket=a"])?.fails(1, "--cache-to type=s3 is not supported")?;
    first.finish()?;
    second.finish()
}

#[test]
fn a_cache_in_our_registry_serves_another_daemon() -> Result<()> {
    travels(Kind::Ours)
}

#[test]
fn a_cache_in_debian_s_registry_serves_another_daemon() -> Result<()> {
    travels(Kind::Debian)
}

#[test]
fn an_image_carries_its_own_cache() -> Result<()> {
    let registry = Registry::start(Kind::Ours)?;
    let (first, second) = (Berth::start()?, Berth::start()?);
    let dockerfile = format!(
        "FROM {IMAGE}\nRUN {UUID} > /one\nENV A=b\nCOPY file /file\nRUN {UUID} > /two\nCMD [\"cat\", \"/one\", \"/two\"]\n"
    );
    let files = [("Dockerfile", dockerfile.as_str()), ("file", "words")];
    let (from, to) = (Context::new(&first, "one", &files)?, Context::new(&second, "other", &files)?);
    let name = registry.site().name("built:1");
    let says = |berth: &Berth| berth.docker(["run", "--rm", &name])?.ok();
    build(&from, &["-t", &name, "--push", "--cache-to", "type=inline"])?;
    let said = build(&to, &["-t", &name, "--cache-from", &name])?;
    ensure!(cached(&said) == 3 && says(&first)? == says(&second)?, "{said}");
    // an image without it is none
    build(&from, &["-t", &name, "--push"])?;
    forget(&second, &name)?;
    let said = build(&to, &["-t", &name, "--cache-from", &name])?;
    ensure!(cached(&said) == 0, "{said}");
    forget(&second, &name)?;
    // as a client asks that needs no plugin for it
    let inline = ["--build-arg", "BUILDKIT_INLINE_CACHE=1", "-t", &name];
    programs::run(&mut from.buildkit_command(&inline)?)?.ok()?;
    first.docker(["push", &name])?.ok()?;
    let ran = programs::run(&mut to.buildkit_command(&["--cache-from", &name, "-t", &name])?)?;
    ensure!(ran.code == 0 && cached(&ran.stderr) == 3, "{}", ran.stderr);
    ensure!(says(&first)? == says(&second)?);
    first.finish()?;
    second.finish()
}

#[test]
fn the_classic_builder_takes_images_for_a_cache() -> Result<()> {
    let registry = Registry::start(Kind::Ours)?;
    let (first, second) = (Berth::start()?, Berth::start()?);
    let dockerfile = |env: &str| {
        format!(
            "FROM {IMAGE}\nRUN {UUID} > /one\nENV A={env}\nCOPY file /file\nRUN {UUID} > /two\nCMD [\"cat\", \"/one\", \"/two\"]\n"
        )
    };
    let (same, other) = (dockerfile("b"), dockerfile("c"));
    let files = [("Dockerfile", same.as_str()), ("file", "words")];
    let (from, to) = (Context::new(&first, "one", &files)?, Context::new(&second, "other", &files)?);
    let name = registry.site().name("built:1");
    from.build(&["-t", &name])?.ok()?;
    first.docker(["push", &name])?.ok()?;
    let says = |berth: &Berth, image: &str| berth.docker(["run", "--rm", image])?.ok();
    let used = |said: &str| said.matches("Using cache").count();
    // one that is not here is none
    ensure!(used(&to.build(&["--cache-from", &name, "-t", "built"])?.ok()?) == 0);
    second.docker(["rmi", "-f", "built"])?.ok()?;
    second.berth(["builder", "prune", "-af"])?.ok()?;
    second.docker(["pull", &name])?.ok()?;
    let said = to.build(&["--cache-from", &name, "-t", "built"])?.ok()?;
    ensure!(used(&said) == 3, "{said}");
    ensure!(says(&first, &name)? == says(&second, "built")?);
    second.docker(["rmi", "-f", "built"])?.ok()?;
    second.berth(["builder", "prune", "-af"])?.ok()?;
    // what comes behind another setting is done again
    let files = [("Dockerfile", other.as_str()), ("file", "words")];
    let changed = Context::new(&second, "changed", &files)?;
    let said = changed.build(&["--cache-from", &name, "-t", "built"])?.ok()?;
    ensure!(used(&said) == 1, "{said}");
    let (kept, made) = (says(&first, &name)?, says(&second, "built")?);
    ensure!(kept.lines().next() == made.lines().next() && kept != made, "{made}");
    first.finish()?;
    second.finish()
}
