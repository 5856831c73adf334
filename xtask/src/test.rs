//! `cargo xtask test`: install, check, build once, run everything, and what a second kernel changes on that.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::{check, host, run, user, vm};

/// Runs every test, here and the short set in the second host; with `filter`, only tests whose name contains it, here, and
/// without the checks of the source.
pub(crate) fn main(filter: &[String]) -> Result<()> {
    let needs = Needs::met()?;
    if filter.is_empty() {
        check::main()?;
    }
    build()?;
    run::step("test");
    let mut tests = run::cargo(["test", "--workspace", "--no-fail-fast", "--"]);
    needs.tell(tests.args(filter))?;
    let mut failures = Failures::default();
    let result = run::run_reading(&mut tests, |line| failures.hear(line));
    let mut results = vec![result];
    if filter.is_empty() {
        results.push(user::run(&needs, &[], |line| failures.hear(line)));
        results.push(vm::main(&[]));
    }
    failures.say();
    let failed: Vec<String> =
        results.into_iter().filter_map(Result::err).map(|error| format!("{error:#}")).collect();
    ensure!(failed.is_empty(), "{}", failed.join("; "));
    Ok(())
}

/// Builds our programs, which tests run.
pub(crate) fn build() -> Result<()> {
    run::step("build");
    run::run(&mut run::cargo(["build", "--quiet", "--workspace", "--bins"]))
}

/// What the tests need beside our programs.
pub(crate) struct Needs {
    python: PathBuf,
    youki: PathBuf,
}

impl Needs {
    /// Installs what is missing.
    pub(crate) fn met() -> Result<Self> {
        host::install(host::BUILD)?;
        host::install(host::DEMO)?;
        host::install(host::PEERS)?;
        Ok(Self { python: host::python()?, youki: host::youki()? })
    }

    /// Tells tests where all is.
    pub(crate) fn tell(&self, tests: &mut Command) -> Result<()> {
        tests.env("BERTH_TEST_PYTHON", &self.python).env("BERTH_TEST_PROGRAMS", run::programs("debug")?);
        tests.env("BERTH_TEST_YOUKI", &self.youki);
        // The frames of a failed test are those of the harness: they only crowd out what it says.
        tests.env("RUST_BACKTRACE", "0");
        Ok(())
    }
}

/// What the failed tests printed, to be said once more at the end: there it is found, and there it is what a log
/// that is cut off keeps.
#[derive(Default)]
struct Failures {
    within: bool,
    text: String,
}

impl Failures {
    /// Bytes kept at most.
    const MOST: usize = 64 * 1024;

    fn hear(&mut self, line: &str) {
        // A test program lists its failures after this line, and ends with its result.
        self.within = (self.within || line == "failures:") && !line.starts_with("test result:");
        if self.within && line != "failures:" && self.text.len() + line.len() < Self::MOST {
            self.text.push_str(line);
            self.text.push('\n');
        }
    }

    fn say(&self) {
        if !self.text.is_empty() {
            run::step("failures");
            run::say(&self.text);
        }
    }
}

/// Runs the restart storm in its full size, or in the one given; `images` is the one of pulls and removals, `registry`
/// the one of garbage collection beside clients, `build` the one of builds; and [`LOADS`].
pub(crate) fn storm(size: &[String]) -> Result<()> {
    if let Some(("images", kills)) = size.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        let kills = kills.first().map_or("200", String::as_str);
        return at_full_size("registry::killed::", "BERTH_IMAGE_STORM", kills);
    }
    if let Some(("registry", seconds)) = size.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        let seconds = seconds.first().map_or("120", String::as_str);
        host::install(host::PEERS)?;
        return at_full_size("registry::served::garbage::", "BERTH_REGISTRY_STORM", seconds);
    }
    if let Some(("build", kills)) = size.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        let kills = kills.first().map_or("50", String::as_str);
        return at_full_size("build::kills::a_daemon_killed_at_any", "BERTH_BUILD_STORM", kills);
    }
    if let Some((kind, size)) = size.split_first()
        && let Some((_, tests, variable, full)) = LOADS.iter().find(|(name, ..)| name == kind)
    {
        let size = if size.is_empty() { (*full).to_owned() } else { size.join(",") };
        return load(tests, variable, &size);
    }
    at_full_size("storm::", "BERTH_STORM", size.first().map_or("50,120", String::as_str))
}

/// Storms of the test program `load`: name, tests, variable, full size.
const LOADS: &[(&str, &str, &str, &str)] = &[
    ("chaos", "chaos::", "BERTH_CHAOS", "10000"),
    ("thousand", "thousand::", "BERTH_THOUSAND", "1000"),
    ("api", "api::", "BERTH_API_LOAD", "200,60"),
];

/// What is measured there is of programs as they are shipped.
fn load(tests: &str, variable: &str, size: &str) -> Result<()> {
    host::install(host::DEMO)?;
    run::step("build");
    run::run(&mut run::cargo(["build", "--quiet", "--release", "--workspace", "--bins"]))?;
    run::step(tests.trim_end_matches(':'));
    let mut test = run::cargo(["test", "-p", "e2e", "--test", "load", "--", "--nocapture"]);
    test.args(["--test-threads", "1", tests]);
    run::run(test.env("BERTH_TEST_PROGRAMS", run::programs("release")?).env(variable, size))
}

/// Starts and stops containers as often as is said, or a thousand times.
pub(crate) fn churn(starts: &[String]) -> Result<()> {
    at_full_size("churn::", "BERTH_CHURN", starts.first().map_or("1000", String::as_str))
}

fn at_full_size(tests: &str, variable: &str, size: &str) -> Result<()> {
    host::install(host::DEMO)?;
    run::step("build");
    run::run(&mut run::cargo(["build", "--quiet", "--workspace", "--bins"]))?;
    run::step(tests.trim_end_matches(':'));
    let mut test = run::cargo(["test", "-p", "e2e", "--test", "suite", "--", "--nocapture", tests]);
    test.env("BERTH_TEST_PROGRAMS", run::programs("debug")?).env(variable, size);
    run::run(&mut test)
}

#[cfg(test)]
mod tests {
    use super::Failures;

    #[test]
    fn what_failed_is_said_once_more() {
        let mut failures = Failures::default();
        for line in "test a ... ok\n\nfailures:\n\n---- b stdout ----\nit broke\n\nfailures:\n    b\n\ntest result: FAILED. 1\ntest c ... ok"
            .lines()
        {
            failures.hear(line);
        }
        assert_eq!(failures.text, "\n---- b stdout ----\nit broke\n\n    b\n\n");
    }
}
