//! Small Dockerfiles, each built by Docker's classic builder and by ours: the same configuration, the same files, the
//! same errors. What the classic builder does not have says itself what comes of it.

mod case;
mod compare;
mod outcome;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use anyhow::{Result, bail, ensure};
use case::Case;
use e2e::Berth;
use e2e::image::Image;
use e2e::peers::Docker;
use outcome::Outcome;

/// File and text of each part of the corpus.
const CORPUS: &[(&str, &str)] = &[
    ("files", include_str!("corpus/files.cases")),
    ("words", include_str!("corpus/words.cases")),
    ("settings", include_str!("corpus/settings.cases")),
    ("stages", include_str!("corpus/stages.cases")),
    ("squash", include_str!("corpus/squash.cases")),
    ("errors", include_str!("corpus/errors.cases")),
    ("buildkit", include_str!("corpus/buildkit.cases")),
];

/// Builds at a time: the engine waits for the kernel more than it computes.
const AT_ONCE: usize = 4;

/// Outcomes by the name of their case.
type Outcomes = BTreeMap<String, Outcome>;

/// Builds every case with one engine.
fn build_all<'a>(root: &Path, cases: impl Iterator<Item = &'a Case>) -> Result<Outcomes> {
    let cases: Vec<&Case> = cases.collect();
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Ok(Outcomes::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = outcome::build(root, case);
                    let Ok(mut done) = done.lock() else { return };
                    match (outcome, &mut *done) {
                        (Ok(outcome), Ok(done)) => {
                            done.insert(case.name.clone(), outcome);
                        }
                        (Err(error), done @ Ok(_)) => *done = Err(error.context(case.name.clone())),
                        (_, Err(_)) => return,
                    }
                }
            });
        }
    });
    done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Docker's outcomes of all cases that it can be asked about; it is asked once for both tests.
fn dockers(cases: &[Case]) -> Result<&'static Outcomes> {
    static ASKED: OnceLock<Result<Outcomes, String>> = OnceLock::new();
    let asked = ASKED.get_or_init(|| ask_docker(cases).map_err(|error| format!("{error:?}")));
    asked.as_ref().map_err(|error| anyhow::Error::msg(error.clone()))
}

fn ask_docker(cases: &[Case]) -> Result<Outcomes> {
    // without it there is no `squash`
    let docker = Docker::start(&[Docker::NO_NETWORK, &["--experimental"]].concat())?;
    let archive = docker.root().join("base.tar");
    Image::busybox()?.save(&archive, "base:latest")?;
    docker.run(&["load", "-q", "-i", &archive.display().to_string()])?.ok()?;
    let outcomes = build_all(docker.root(), cases.iter().filter(|case| case.ours.is_none()))?;
    docker.stop()?;
    Ok(outcomes)
}

/// What Docker refuses to read, our parser refuses in the same words; and the other way round.
#[test]
fn dockerfiles_are_read_as_docker_reads_them() -> Result<()> {
    let cases = case::all()?;
    ensure!(cases.len() >= 150, "{} cases", cases.len());
    let outcomes = dockers(&cases)?;
    let differences: Vec<String> =
        cases.iter().filter_map(|case| read_otherwise(case, outcomes.get(&case.name))).collect();
    ensure!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
    Ok(())
}

/// How our reading of a case differs from Docker's, or from what the case says.
fn read_otherwise(case: &Case, docker: Option<&Outcome>) -> Option<String> {
    let name = &case.name;
    let ours = dockerfile::Dockerfile::parse(case.dockerfile.as_bytes());
    match (ours, docker) {
        (Ok(_), Some(Outcome::Refused { message, .. })) if message.contains("parse") => {
            Some(format!("{name}: is read where Docker says: {message}"))
        }
        (Ok(_), _) => None,
        (Err(ours), Some(Outcome::Refused { message, .. })) => {
            let same = ours.to_string() == *case.says.as_ref().unwrap_or(message);
            (!same).then(|| format!("{name}: {ours} where Docker says: {message}"))
        }
        (Err(ours), Some(other)) => Some(format!("{name}: {ours} where Docker: {}", other.summary())),
        (Err(ours), None) => {
            let text = ours.to_string();
            let told = case.expected.iter().any(|(key, rest)| key == "error" && text.contains(rest));
            (!told).then(|| format!("{name}: {ours}"))
        }
    }
}

/// Every case built by both: the same configuration, files and errors.
#[test]
fn dockerfiles_are_built_as_docker_builds_them() -> Result<()> {
    let cases = case::all()?;
    let docker = dockers(&cases)?;
    let berth = Berth::bare(&[])?;
    berth.load(&Image::busybox()?, "base:latest")?;
    let ours = build_all(berth.root(), cases.iter())?;
    let mut differences = Vec::new();
    for case in &cases {
        let Some(ours) = ours.get(&case.name) else { bail!("{} was not built", case.name) };
        let found = match docker.get(&case.name) {
            Some(docker) => compare::differences(case, ours, docker),
            None => compare::unlike(case, ours)?,
        };
        differences.extend(found.into_iter().map(|line| format!("{}: {line}", case.name)));
    }
    ensure!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
    berth.finish()
}
