//! Builds that are given up, and daemons that are killed in the middle of one.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use e2e::daemon::{Berth, IMAGE};

use super::Context;

/// Begins a build and waits until one of its steps says a word.
fn until_said(context: &Context<'_>, berth: &Berth, word: &str) -> Result<std::process::Child> {
    let mut command = berth.docker_command(["build"])?;
    command.env("DOCKER_BUILDKIT", "0").arg(context.path()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    let lines = BufReader::new(child.stdout.take().context("no output")?).lines();
    for line in lines {
        if line?.trim() == word {
            return Ok(child);
        }
    }
    anyhow::bail!("the build has ended without saying {word}")
}

#[test]
fn a_client_that_goes_ends_the_step_whatever_it_forks() -> Result<()> {
    let berth = Berth::start()?;
    let dockerfile = format!(
        "FROM {IMAGE}\nRUN echo done > /first\nRUN echo begun; f() {{ (f & sleep 1000) & }}; for i in 1 2 3; do f; done; sleep 1000\n"
    );
    let context = Context::new(&berth, "bomb", &[("Dockerfile", &dockerfile)])?;
    // enough for a bomb of this size, and no more
    let mut command = berth.docker_command(["build"])?;
    command.env("DOCKER_BUILDKIT", "0").args(["--memory", "256m"]).arg(context.path());
    let mut child = until_said(&context, &berth, "begun")?;
    child.kill()?;
    child.wait()?;
    // the check at the end waits for the step's cgroup, shim, root file system and addresses to go
    berth.finish()
}

#[test]
fn a_killed_daemon_leaves_no_step_and_its_successor_knows_what_was_done() -> Result<()> {
    let times = std::env::var("BERTH_STORM_BUILDS").ok().and_then(|text| text.parse().ok()).unwrap_or(3);
    let mut berth = Berth::start()?;
    for time in 0..times {
        let dockerfile = format!(
            "FROM {IMAGE}\nRUN cat /proc/sys/kernel/random/uuid > /first; echo {time}\nRUN echo begun; sleep 1000\n"
        );
        let context = Context::new(&berth, "killed", &[("Dockerfile", &dockerfile)])?;
        let mut child = until_said(&context, &berth, "begun")?;
        berth.kill()?;
        child.wait()?;
        berth.spawn()?;
        let shorter = dockerfile.replace("sleep 1000", "true");
        let context = Context::new(&berth, "killed", &[("Dockerfile", &shorter)])?;
        let said = context.build(&["-t", "killed"])?.ok()?;
        ensure!(said.matches("Using cache").count() == 1, "{said}");
        ensure!(berth.docker(["ps", "-aq"])?.ok()?.is_empty());
    }
    berth.finish()
}
