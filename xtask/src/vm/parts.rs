//! `cargo xtask vm all`: every test that the kernel has a say in, in the guest, part by part. What a part has printed
//! is kept in `target/vm/parts`, and tells what came of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use super::guest::{self, Guest, Module};
use super::root::{self, Kind};
use super::work::{self, Program, Purpose};
use crate::run;

/// Packages beside the end-to-end tests whose own tests ask the kernel; all others' are arithmetic.
pub(super) const PACKAGES: &[&str] =
    &["sys", "tarball", "store", "network", "shim", "runtime", "logdriver", "engine", "daemon"];

/// Modules that take long and differ least from kernel to kernel: the last.
const LAST: &[&str] = &["table", "sdk", "tools", "registry", "pull", "build", "dockerfiles"];

/// Does the parts that are named, or all; with `--rest`, of these only what has not passed so far.
pub(super) fn main(words: &[&str]) -> Result<()> {
    let (rest, names) = match words {
        ["--rest", names @ ..] => (true, names),
        names => (false, names),
    };
    let root = root::prepare(Kind::Peers)?;
    let (work, programs) = work::prepare(Kind::Peers, Purpose::Everything)?;
    let all = parts(&programs)?;
    // as they are named, if they are
    let mut wanted = Vec::new();
    for name in names {
        let part = all.iter().find(|part| part.name == **name).with_context(|| {
            let known: Vec<_> = all.iter().map(|part| part.name.as_str()).collect();
            format!("there is no part {name:?}, but {}", known.join(" "))
        })?;
        wanted.push(part);
    }
    if names.is_empty() {
        wanted.extend(&all);
    }
    wanted.retain(|part| !(rest && part.outcome().is_some_and(|came| came.ok())));
    std::fs::create_dir_all(logs())?;
    let mut guest = None;
    for part in &wanted {
        // What has passed with other programs says nothing any more.
        let _ = std::fs::remove_file(part.log());
    }
    for part in wanted {
        if guest.is_none() {
            run::step("a guest");
            guest = Some(Guest::boot(&root, &work, Module::AppArmor)?);
            run::step("tests, in the guest");
        }
        let Some(running) = &guest else { bail!("no guest") };
        let begun = Instant::now();
        if let Err(error) = running.record(&part.command()?, &part.log()) {
            run::complain(&format!("{}: {error:#}\n", part.name));
            guest = None;
        }
        part.say(begun.elapsed().as_secs())?;
    }
    if let Some(guest) = guest {
        guest.power_off().context("the guest does not end")?;
    }
    summary(&all)
}

/// A program of tests, or one module of the end-to-end tests.
struct Part {
    name: String,
    program: Program,
    /// The names of its tests, as options of their program; without any, all.
    tests: Vec<String>,
}

/// What a part's log says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    passed: u32,
    failed: u32,
    /// Tests that found nothing here to run on, and say so.
    not_run: usize,
    seconds: String,
}

impl Outcome {
    fn ok(&self) -> bool {
        self.failed == 0
    }
}

fn logs() -> PathBuf {
    run::root().join("target/vm/parts")
}

/// All parts, in the order in which they are done.
fn parts(programs: &[Program]) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    for program in programs {
        let of = |name: &str, tests| Part { name: name.to_owned(), program: program.clone(), tests };
        if !program.is_suite() {
            parts.push(of(&program.name, Vec::new()));
            continue;
        }
        parts.extend(modules(&program.listing()?).into_iter().map(|(module, tests)| of(module, tests)));
    }
    ensure!(!parts.is_empty(), "there are no tests");
    parts.sort_by_key(|part| LAST.iter().position(|name| *name == part.name).map_or(0, |place| place + 1));
    Ok(parts)
}

/// The tests by the first component of their names.
fn modules(listing: &str) -> BTreeMap<&str, Vec<String>> {
    let mut modules = BTreeMap::<_, Vec<_>>::new();
    for name in work::names(listing) {
        if let Some((module, _)) = name.split_once("::") {
            modules.entry(module).or_default().push(name.to_owned());
        }
    }
    modules
}

impl Part {
    fn log(&self) -> PathBuf {
        logs().join(&self.name).with_extension("log")
    }

    fn command(&self) -> Result<String> {
        let mut words: Vec<_> = self.tests.iter().map(String::as_str).collect();
        if !words.is_empty() {
            words.insert(0, "--exact");
        }
        work::command(&self.program, &words, Module::AppArmor)
    }

    /// What came of it; nothing if it did not come to its end.
    fn outcome(&self) -> Option<Outcome> {
        outcome(&std::fs::read_to_string(self.log()).ok()?)
    }

    /// A line about what was just done.
    fn say(&self, seconds: u64) -> Result<()> {
        run::say(&match self.outcome() {
            Some(Outcome { passed, failed, not_run, .. }) => {
                format!(
                    "{:24} {passed:4} ok {failed:3} failed {not_run:3} not run {seconds:6} s\n",
                    self.name
                )
            }
            None => format!("{:24} did not end: {}\n", self.name, last_line(&self.log())?),
        });
        Ok(())
    }
}

fn last_line(log: &Path) -> Result<String> {
    let text = std::fs::read(log).with_context(|| format!("cannot read {}", log.display()))?;
    Ok(String::from_utf8_lossy(&text).trim_end().lines().next_back().unwrap_or_default().to_owned())
}

/// Reads what a program of tests prints at its end. One with a harness of its own says nothing that is known here: it
/// counts as one test.
fn outcome(log: &str) -> Option<Outcome> {
    let ended = log.trim_end().rsplit_once(guest::ENDED)?.1 == "0";
    let not_run = log.lines().filter(|line| line.contains("NOT RUN: ")).count();
    let Some(result) = log.lines().rev().find_map(|line| line.strip_prefix("test result: ")) else {
        let (passed, failed) = if ended { (1, 0) } else { (0, 1) };
        return Some(Outcome { passed, failed, not_run, seconds: String::new() });
    };
    let number = |what: &str| {
        result.split(['.', ';']).find_map(|part| part.trim().strip_suffix(what)?.trim().parse().ok())
    };
    let (_, seconds) = result.rsplit_once("finished in ")?;
    Some(Outcome {
        passed: number("passed")?,
        failed: number("failed")?,
        not_run,
        seconds: seconds.to_owned(),
    })
}

/// All parts as they stand, whenever they were done; an error unless all have passed.
fn summary(all: &[Part]) -> Result<()> {
    run::step("all parts");
    let mut open = Vec::new();
    let (mut passed, mut failed, mut not_run) = (0, 0, 0);
    for part in all {
        match part.outcome() {
            Some(came) => {
                run::say(&format!(
                    "{:24} {:4} ok {:3} failed {:3} not run  {}\n",
                    part.name, came.passed, came.failed, came.not_run, came.seconds
                ));
                (passed, failed, not_run) =
                    (passed + came.passed, failed + came.failed, not_run + came.not_run);
                if !came.ok() {
                    open.push(part.name.as_str());
                }
            }
            None => open.push(&part.name),
        }
    }
    run::say(&format!("{:24} {passed:4} ok {failed:3} failed {not_run:3} not run\n", "together"));
    ensure!(
        open.is_empty(),
        "not passed: {} (what they said is in {}; `cargo xtask vm all --rest` goes on with them)",
        open.join(" "),
        logs().display()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Outcome, modules, outcome};

    #[test]
    fn the_end_of_a_log_tells_what_came_of_it() {
        let log = "running 3 tests\nNOT RUN: c: no such thing here\ntest a ... ok\n\n\
                   test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 9 filtered out; finished in 4.20s\n\n\
                   the command ended with 101\n";
        let wanted = Outcome { passed: 2, failed: 1, not_run: 1, seconds: "4.20s".to_owned() };
        assert_eq!(outcome(log), Some(wanted));
        assert_eq!(outcome("running 3 tests\ntest a ... ok\n"), None);
        let of_its_own = |end| outcome(&format!("- this\n- that\nthe command ended with {end}\n")).unwrap();
        assert_eq!((of_its_own(0).passed, of_its_own(0).failed), (1, 0));
        assert_eq!((of_its_own(134).passed, of_its_own(134).failed), (0, 1));
    }

    #[test]
    fn modules_are_what_the_tests_names_begin_with() {
        let modules = modules("b::x: test\na::y::z: test\na::x: test\n\n3 tests, 0 benchmarks\n");
        let wanted = [("a", vec!["a::y::z".to_owned(), "a::x".to_owned()]), ("b", vec!["b::x".to_owned()])];
        assert_eq!(modules, wanted.into());
    }
}
