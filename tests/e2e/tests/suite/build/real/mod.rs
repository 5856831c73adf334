//! Builds as people do them: Debian made by debootstrap, and what is installed, compiled and served on it. Packages
//! come from the mirrors of Debian, PyPI, npm and crates.io, through the containers' own addresses.

mod compiled;
mod node;
mod python;
mod served;

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::daemon::Berth;
use e2e::{debian, programs};

use super::Context;

/// Whom this machine trusts: a network may have a certificate authority of its own.
const TRUSTED: &str = "/etc/ssl/certs/ca-certificates.crt";

/// How long a build may take that fetches packages.
const PATIENCE: Duration = Duration::from_secs(300);

/// Installs Debian's packages; what was fetched stays for the next, and is no part of the image.
const APT: &str = "RUN --mount=type=cache,target=/var/cache/apt,sharing=locked --mount=type=cache,target=/var/lib/apt/lists,sharing=locked \
                   apt-get update && apt-get install -y --no-install-recommends";

/// A daemon with the image `debian-base`.
fn daemon() -> Result<Berth> {
    let berth = Berth::start()?;
    let tar = debian::minimal()?;
    let mut import = berth.docker_command(["import", "--change", "ENV DEBIAN_FRONTEND=noninteractive"])?;
    import.arg(tar).arg("debian-base");
    finished(&mut import)?;
    Ok(berth)
}

/// What a build says that takes its time.
fn finished(command: &mut Command) -> Result<String> {
    let ran = programs::run_with(command, b"", PATIENCE)?;
    let said = ran.stderr.clone();
    Ok(ran.ok()? + &said)
}

/// A context with what the machine trusts as `ca.crt`.
fn context<'a>(berth: &'a Berth, name: &str, files: &[(&str, &str)]) -> Result<Context<'a>> {
    let context = Context::new(berth, name, files)?;
    std::fs::copy(TRUSTED, context.path().join("ca.crt"))
        .with_context(|| format!("{TRUSTED} (apt-get install ca-certificates)"))?;
    Ok(context)
}

/// The end of a test whose images are large: their files take their time to go.
fn over(berth: Berth) -> Result<()> {
    let trash = berth.data_root().join("store/trash");
    let empty = || Ok(std::fs::read_dir(&trash)?.next().is_none().then_some(()));
    // beside other tests a disk may need several times what is patient elsewhere
    let gone = (0..4).any(|_| programs::eventually("what was removed is gone", empty).is_ok());
    ensure!(gone, "what was removed does not go");
    berth.finish()
}
