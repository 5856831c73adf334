//! The proof of likeness: rows of steps, driven through the real `docker` client and through `berth` on
//! `berthd`, and through the same client on Debian's `dockerd`, in the same run. The answers must be the same,
//! but for the differences that the rows list with a reason. A difference that no longer occurs fails as well.
//!
//! `docs/compat.md` is written from the same rows: `cargo xtask compat`.

mod around;
mod compare;
mod document;
mod engine;
mod mask;
mod script;
mod subject;
mod wire;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Result, ensure};
use e2e::Berth;
use e2e::daemon::IMAGE;
use e2e::image::Image;
use e2e::lab::Namespace;
use e2e::peers::Docker;
use e2e::programs;

use around::Around;
use compare::{Answer, Finding};
use engine::Engine;
use script::{Circumstance, Difference, Everywhere, Mode, Row, Step};

macro_rules! files {
    ($($name:literal)*) => { &[$(($name, include_str!(concat!("rows/", $name)))),*] };
}

/// The rows, by file.
const FILES: &[(&str, &str)] = files! {
    "create.steps" "ports.steps" "run.steps" "list.steps" "lifecycle.steps" "exec.steps" "logs.steps" "files.steps"
    "images.steps" "registries.steps" "volumes.steps" "networks.steps" "events.steps" "system.steps" "api_container.steps" "api_other.steps"
};

const EVERYWHERE: (&str, &str) = ("everywhere.txt", include_str!("rows/everywhere.txt"));

fn all_rows() -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (file, text) in FILES {
        rows.extend(script::rows(file, text)?);
    }
    Ok(rows)
}

/// Only rows whose title contains `BERTH_TABLE_ROWS`, while one works on them.
fn chosen(row: &Row) -> bool {
    std::env::var("BERTH_TABLE_ROWS").map_or(true, |part| row.title.contains(&part))
}

#[test]
fn as_docker_answers() -> Result<()> {
    let rows: Vec<Row> = all_rows()?.into_iter().filter(chosen).collect();
    let everywhere = script::everywhere(EVERYWHERE.0, EVERYWHERE.1)?;
    let client = programs::docker_client()?;
    let old = !programs::run(&mut programs::command(&client, ["volume", "update", "--help"]))?
        .stdout
        .contains("docker volume update");
    if old {
        // The listed differences are those of today's client, whose words ours has.
        println!("an old docker client: `berth` itself is not compared with it, only berthd behind it");
    }
    let mut judge = Judge {
        everywhere: &everywhere,
        seen: BTreeSet::new(),
        here: here(old)?,
        suspects: BTreeSet::new(),
        report: String::new(),
    };
    judge.all(&rows, driven(&rows, &client, old)?);
    if !old && std::env::var_os("BERTH_TABLE_ROWS").is_none() {
        judge.stale(&rows);
    }
    if !judge.suspects.is_empty() {
        // The reference has races of its own (which of two lines it prints first, for one): what differs differs twice.
        println!("driven once more, for not being as Docker answers:\n{}", judge.report);
        let suspects = std::mem::take(&mut judge.suspects);
        judge.report.clear();
        let rows: Vec<Row> =
            all_rows()?.into_iter().filter(chosen).filter(|row| suspects.contains(&row.title)).collect();
        judge.all(&rows, driven(&rows, &client, old)?);
        if !old && std::env::var_os("BERTH_TABLE_ROWS").is_none() {
            judge.stale(&all_rows()?);
        }
    }
    ensure!(judge.report.is_empty(), "not as Docker answers:\n{}", judge.report);
    Ok(())
}

/// What holds on this machine, beside this client.
fn here(old: bool) -> Result<BTreeSet<Circumstance>> {
    let mut here = BTreeSet::from([if old { Circumstance::Old } else { Circumstance::New }]);
    let unified = sys::cgroup::Host::get()?.version() == sys::cgroup::Version::V2;
    here.insert(if unified { Circumstance::V2 } else { Circumstance::V1 });
    if sys::caps::permitted()? != sys::caps::known() {
        here.insert(Circumstance::Withheld);
    }
    Ok(here)
}

/// The answers of Docker's daemon, of ours to the same client, and of ours to our client; all three engines are
/// new ones.
fn driven(rows: &[Row], client: &Path, old: bool) -> Result<[Vec<Vec<Answer>>; 3]> {
    let skip = |step: &Step| old && step.modes.contains(&Mode::Newer);
    let archive = tempfile::NamedTempFile::new()?;
    Image::busybox()?.save(archive.path(), IMAGE)?;
    let docker = Docker::apart(&[])?;
    docker.run(&["load", "-i", &archive.path().to_string_lossy()])?.ok()?;
    // Every engine has a host of its own, with an interface that leads to a segment of its own.
    let segment = Namespace::new()?;
    let theirs = Namespace::of(docker.pid())?;
    theirs.cable("lan0", &segment, "theirs")?;
    let (first, second) = (hosted(&segment, "first")?, hosted(&segment, "second")?);
    let hosts = [Some(&theirs), first.netns(), second.netns()];
    let around = hosts.into_iter().flatten().map(Around::start).collect::<Result<Vec<_>>>()?;
    let [beside, beside_first, beside_second] = &around[..] else { anyhow::bail!("a daemon has no host") };
    let berth = second.root().join("docker");
    std::os::unix::fs::symlink(programs::program("berth")?, &berth)?;
    let engines = [
        Engine::new("reference", 0, docker.root(), client.to_owned(), beside)?,
        Engine::new("docker", 1, first.root(), client.to_owned(), beside_first)?,
        Engine::new("berth", 2, second.root(), berth, beside_second)?,
    ];
    let drive =
        |mut engine: Engine| rows.iter().map(|row| engine.drive(row, skip)).collect::<Result<Vec<_>>>();
    let answers = std::thread::scope(|scope| {
        let threads = engines.map(|engine| scope.spawn(|| drive(engine)));
        threads.map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    let [theirs, docker_client, berth_client] = answers;
    let answers = [theirs?, docker_client?, berth_client?];
    docker.stop()?;
    first.finish()?;
    second.finish()?;
    Ok(answers)
}

/// A daemon on a host of its own.
fn hosted(segment: &Namespace, port: &str) -> Result<Berth> {
    let host = Namespace::new()?;
    host.cable("lan0", segment, port)?;
    let berth = Berth::inside(&host, &[])?;
    berth.load(&Image::busybox()?, IMAGE)?;
    Ok(berth)
}

#[test]
fn a_part_stands_for_what_is_below_it() {
    assert!(names("body.A", "body.A.B[].C") && names("*.A", "stdout[].A") && names("*.*.N", "body.A[].N"));
    assert!(!names("body.A", "body.AB") && !names("body.A.B", "body.A"));
}

/// Compares, and keeps account of the listed differences.
struct Judge<'a> {
    everywhere: &'a [Everywhere],
    /// Places (and parts) of listed differences that occurred.
    seen: BTreeSet<String>,
    here: BTreeSet<Circumstance>,
    /// Titles of rows with anything in the report.
    suspects: BTreeSet<String>,
    report: String,
}

impl Judge<'_> {
    fn all(&mut self, rows: &[Row], [theirs, docker, berth]: [Vec<Vec<Answer>>; 3]) {
        self.client(rows, &theirs, &docker, "docker");
        if !self.here.contains(&Circumstance::Old) {
            self.client(rows, &theirs, &berth, "berth");
        }
    }

    fn client(&mut self, rows: &[Row], theirs: &[Vec<Answer>], ours: &[Vec<Answer>], client: &str) {
        for (row, (theirs, ours)) in rows.iter().zip(theirs.iter().zip(ours)) {
            for (step, (theirs, ours)) in row.steps.iter().zip(theirs.iter().zip(ours)) {
                for finding in compare::answers(theirs, ours, &step.modes) {
                    self.finding(row, step, client, &finding);
                }
            }
        }
    }

    fn finding(&mut self, row: &Row, step: &Step, client: &str, finding: &Finding) {
        let mut listed = false;
        for (index, difference) in step.differences.iter().enumerate() {
            if self.covers(difference, client, &finding.part) {
                self.seen.insert(format!("{} {index}", step.place));
                listed = true;
            }
        }
        let subject = subject::of(step);
        for entry in self.everywhere {
            let about = entry.subject == "*" || subject.contains(&entry.subject);
            if about && self.covers(&entry.difference, client, &finding.part) {
                self.seen.insert(entry.place.clone());
                listed = true;
            }
        }
        if !listed {
            self.suspects.insert(row.title.clone());
            let _ = writeln!(
                self.report,
                "{} [{client}] {}\n  {}\n    docker: {}\n    berth:  {}",
                step.place,
                step.text,
                finding.part,
                finding.theirs.replace('\n', "\n            "),
                finding.ours.replace('\n', "\n            ")
            );
        }
    }

    fn covers(&self, difference: &Difference, client: &str, part: &str) -> bool {
        self.applies(difference)
            && difference.client.as_deref().is_none_or(|only| only == client)
            && names(&difference.part, part)
    }

    fn applies(&self, difference: &Difference) -> bool {
        difference.only.is_none_or(|only| self.here.contains(&only))
    }

    /// Listed differences that did not occur.
    fn stale(&mut self, rows: &[Row]) {
        for (row, step) in rows.iter().flat_map(|row| row.steps.iter().map(move |step| (row, step))) {
            for (index, difference) in step.differences.iter().enumerate() {
                if self.applies(difference) && !self.seen.contains(&format!("{} {index}", step.place)) {
                    self.suspects.insert(row.title.clone());
                    let _ = writeln!(self.report, "{}: {} no longer differs", step.place, difference.part);
                }
            }
        }
        for entry in self.everywhere {
            if self.applies(&entry.difference) && !self.seen.contains(&entry.place) {
                let _ = writeln!(self.report, "{}: {} no longer differs", entry.place, entry.difference.part);
            }
        }
    }
}

/// Whether a listed part is `part` or above it; `*` stands for one step of the path.
fn names(listed: &str, part: &str) -> bool {
    let mut steps = part.split('.');
    listed.split('.').all(|wanted| {
        steps
            .next()
            .is_some_and(|step| wanted == "*" || step == wanted || step.trim_end_matches("[]") == wanted)
    })
}

/// Every command and endpoint of the table's part of Docker is driven, and the document is up to date.
#[test]
fn the_table_is_whole_and_written_down() -> Result<()> {
    let rows = all_rows()?;
    let missing = subject::missing(&rows);
    ensure!(missing.is_empty(), "not driven, or open and driven: {missing:?}");
    let text = document::write(&rows, &script::everywhere(EVERYWHERE.0, EVERYWHERE.1)?);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/compat.md");
    if std::env::var_os("BERTH_WRITE_COMPAT").is_some() {
        std::fs::write(&path, &text)?;
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    ensure!(written == text, "docs/compat.md is out of date: cargo xtask compat");
    Ok(())
}
