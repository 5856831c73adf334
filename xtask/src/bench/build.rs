//! Builds beside Debian's Docker with both of its builders, and Buildah.
//!
//! What is to be cold bears a number of its own in the first step, so that every builder does everything and keeps it,
//! as in real life; `--no-cache` would leave out what a cache costs.

use std::cell::Cell;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use e2e::Berth;
use e2e::image::Image;
use e2e::peers::Docker;
use e2e::registry::copiers::Copier;

use super::measure::{Row, time, together};
use super::{IMAGE, small};

/// How often each side is measured, cold and otherwise: the peers' cold builds take seconds.
const COLD_RUNS: usize = 3;
const RUNS: usize = 7;
/// Steps and files of the ordinary build, and files of the large context.
const STEPS: usize = 20;
const FILES: usize = 1_000;
const MANY_FILES: usize = 10_000;
/// Files in one directory.
const PER_DIRECTORY: usize = 100;
/// Stages that do not need each other, and what each takes in seconds.
const STAGES: usize = 4;
const STAGE_TAKES: f64 = 0.5;

/// One builder.
#[derive(Debug, Clone, Copy)]
enum Side {
    Berth,
    Classic,
    Buildkit,
    Buildah,
}

impl Side {
    const ALL: [Self; 4] = [Self::Berth, Self::Classic, Self::Buildkit, Self::Buildah];

    fn name(self) -> &'static str {
        match self {
            Self::Berth => "berth",
            Self::Classic => "docker, classic",
            Self::Buildkit => "docker, BuildKit",
            Self::Buildah => "buildah",
        }
    }

    fn directory(self) -> &'static str {
        match self {
            Self::Berth => "berth",
            Self::Classic => "classic",
            Self::Buildkit => "buildkit",
            Self::Buildah => "buildah",
        }
    }
}

/// All of them, and where each has its contexts.
struct Builders<'a> {
    berth: &'a Berth,
    docker: &'a Docker,
    buildah: Copier,
    contexts: tempfile::TempDir,
    last: Cell<u32>,
}

/// All rows.
pub(super) fn rows(berth: &Berth, docker: &Docker) -> Result<Vec<Row>> {
    let buildah = Copier::buildah()?.on("overlay");
    let archive = buildah.root().join("base.tar");
    Image::busybox()?.save(&archive, IMAGE)?;
    let base = format!("docker-archive:{}", archive.display());
    let policy = buildah.root().join("policy.json");
    let policy = policy.to_str().context("path")?;
    buildah.run(&["pull", "--signature-policy", policy, &base])?.ok()?;
    let contexts = tempfile::Builder::new().prefix("bench-build-").tempdir()?;
    let builders = Builders { berth, docker, buildah, contexts, last: Cell::new(0) };
    let (cold_runs, runs) = if small() { (1, 1) } else { (COLD_RUNS, RUNS) };

    let what = format!("{STEPS} RUN and a COPY of {FILES} files");
    let steps: String = (0..STEPS).map(|step| format!("RUN echo {step} > /step-{step}\n")).collect();
    let (steps, files) = (format!("{steps}COPY files /files\n"), FILES);
    builders.make("steps", &steps, files)?;
    let mut rows = builders
        .measure(&format!("{what}, cold"), "steps", cold_runs, |place| builders.anew(place, &steps))?;
    rows.extend(builders.measure(&format!("{what}, all cached"), "steps", runs, |_| Ok(()))?);
    rows.extend(
        builders
            .measure(&format!("{what}, one file changed"), "steps", runs, |place| builders.change(place))?,
    );

    let stages: String = (0..STAGES)
        .map(|stage| format!("FROM {IMAGE} AS s{stage}\nENV N=@\nRUN sleep {STAGE_TAKES}; echo $N > /made\n"))
        .collect();
    let copies: String = (0..STAGES).map(|stage| format!("COPY --from=s{stage} /made /{stage}\n")).collect();
    let whole = format!("{stages}FROM {IMAGE}\n{copies}");
    builders.make("stages", &whole, 0)?;
    let what = format!("{STAGES} stages of {STAGE_TAKES} s that do not need each other");
    rows.extend(builders.measure(&what, "stages", cold_runs, |place| builders.dockerfile(place, &whole))?);

    let copy = "COPY files /files\nRUN true\n";
    builders.make("files", copy, MANY_FILES)?;
    let what = format!("COPY of {MANY_FILES} files, one changed");
    rows.extend(builders.measure(&what, "files", cold_runs, |place| builders.change(place))?);

    let part = "COPY files/0 /files\nRUN true\n";
    builders.make("part", part, MANY_FILES)?;
    let what = format!("context of {MANY_FILES} files, one of the {PER_DIRECTORY} that are copied changed");
    rows.extend(builders.measure(&what, "part", cold_runs, |place| builders.change(place))?);
    Ok(rows)
}

impl Builders<'_> {
    /// A build's context, for each builder.
    fn make(&self, name: &str, rest: &str, files: usize) -> Result<()> {
        for side in Side::ALL {
            let place = self.contexts.path().join(side.directory()).join(name);
            for file in 0..files {
                let directory = place.join(format!("files/{}", file / PER_DIRECTORY));
                std::fs::create_dir_all(&directory)?;
                std::fs::write(directory.join(file.to_string()), format!("{file}\n").repeat(200))?;
            }
            std::fs::create_dir_all(&place)?;
            self.anew(&place, rest)?;
        }
        Ok(())
    }

    fn number(&self) -> u32 {
        self.last.set(self.last.get() + 1);
        self.last.get()
    }

    /// A Dockerfile of which no builder knows anything.
    fn anew(&self, place: &Path, rest: &str) -> Result<()> {
        self.dockerfile(place, &format!("FROM {IMAGE}\nENV N=@\n{rest}"))
    }

    fn dockerfile(&self, place: &Path, text: &str) -> Result<()> {
        let text = text.replace('@', &self.number().to_string());
        Ok(std::fs::write(place.join("Dockerfile"), text)?)
    }

    fn change(&self, place: &Path) -> Result<()> {
        Ok(std::fs::write(place.join("files/0/0"), format!("changed {}\n", self.number()))?)
    }

    fn measure(
        &self,
        work: &str,
        name: &str,
        runs: usize,
        before: impl Fn(&Path) -> Result<()>,
    ) -> Result<Vec<Row>> {
        let before = &before;
        let mut each = Side::ALL.map(|side| {
            let place = self.contexts.path().join(side.directory()).join(name);
            move || {
                before(&place)?;
                time(self.command(side, name, &place)?)
            }
        });
        let mut each: Vec<&mut dyn FnMut() -> Result<f64>> =
            each.iter_mut().map(|side| side as &mut dyn FnMut() -> Result<f64>).collect();
        let figures = together(&mut each, runs)?;
        let ours = figures.first().copied().unwrap_or(f64::NAN);
        let peers = Side::ALL.iter().zip(figures).skip(1);
        Ok(peers.map(|(side, theirs)| Row::new(work, "ms", ours, side.name(), theirs)).collect())
    }

    fn command(&self, side: Side, tag: &str, place: &Path) -> Result<Command> {
        let place = place.to_str().context("path")?;
        let engine = |mut command: Command, buildkit: &str| {
            command.env("DOCKER_BUILDKIT", buildkit);
            command
        };
        let words = ["build", "-t", tag, place];
        Ok(match side {
            Side::Berth => self.berth.berth_command(words)?,
            Side::Classic => engine(self.docker.command(&words), "0"),
            Side::Buildkit => engine(self.docker.command(&words), "1"),
            Side::Buildah => {
                let mut command = self.buildah.command();
                let policy = self.buildah.root().join("policy.json");
                command.args(["build", "--layers", "--pull-never", "--isolation", "chroot"]);
                command.arg("--signature-policy").arg(policy).args(["-t", tag, place]);
                command
            }
        })
    }
}
