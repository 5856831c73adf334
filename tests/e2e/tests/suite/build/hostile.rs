//! Dockerfiles and contexts that mean harm.

use std::os::unix::fs::symlink;

use anyhow::{Result, ensure};
use e2e::daemon::{Berth, IMAGE};

use super::Context;

#[test]
fn copies_reach_nothing_outside() -> Result<()> {
    let berth = Berth::start()?;
    let secret = berth.root().join("secret");
    std::fs::write(&secret, "of the host")?;
    let above = "../".repeat(12) + secret.to_string_lossy().trim_start_matches('/');
    for (name, source) in
        [("absolute", "link"), ("above", "up"), ("through", "dir/secret"), ("dots", above.as_str())]
    {
        let dockerfile = format!("FROM {IMAGE}\nCOPY {source} /got\n");
        let context = Context::new(&berth, name, &[("Dockerfile", &dockerfile)])?;
        symlink(&secret, context.path().join("link"))?;
        symlink(&above, context.path().join("up"))?;
        symlink(berth.root(), context.path().join("dir"))?;
        let ran = context.build(&[])?;
        ensure!(ran.code != 0, "{source} was copied: {}", ran.stdout);
    }
    // links in the image that lead out of it, for a target, a mount and a working directory
    let outside = berth.root().join("outside");
    std::fs::create_dir(&outside)?;
    let dockerfile = format!(
        "FROM {IMAGE}\nRUN ln -s {0} /way && ln -s ../../../../../../..{0} /up\n\
         COPY Dockerfile /way/a\nCOPY Dockerfile /up/b\nWORKDIR /way/c\nRUN --mount=type=bind,target=/up/d true\n",
        outside.display()
    );
    let context = Context::new(&berth, "targets", &[("Dockerfile", &dockerfile)])?;
    context.build(&["-t", "targets"])?.ok()?;
    ensure!(std::fs::read_dir(&outside)?.next().is_none(), "something was made on the host");
    let there = format!("ls {0}/a {0}/b {0}/c", outside.display());
    berth.docker(["run", "--rm", "targets", "sh", "-c", &there])?.ok()?;
    berth.finish()
}

#[test]
fn places_of_mounts_do_not_stay() -> Result<()> {
    let berth = Berth::start()?;
    let dockerfile = format!(
        "FROM {IMAGE}\nRUN --mount=type=bind,target=/a/b/c --mount=type=tmpfs,target=/t test -e /a/b/c/Dockerfile && touch /t/x\n"
    );
    let context = Context::new(&berth, "stubs", &[("Dockerfile", &dockerfile)])?;
    context.build(&["-t", "stubs"])?.ok()?;
    berth.docker(["run", "--rm", "stubs", "sh", "-c", "! ls -d /a && ! ls -d /t"])?.ok()?;
    berth.finish()
}
