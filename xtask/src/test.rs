//! `cargo xtask test`: install, check, build once, run everything.

use anyhow::Result;

use crate::{check, host, run};

/// Runs every test; with `filter`, only tests whose name contains it, and without the checks of the source.
pub(crate) fn main(filter: &[String]) -> Result<()> {
    host::install(host::BUILD)?;
    host::install(host::DEMO)?;
    host::install(host::PEERS)?;
    let python = host::python()?;
    if filter.is_empty() {
        check::main()?;
    }
    run::step("build");
    run::run(&mut run::cargo(["build", "--quiet", "--workspace", "--bins"]))?;
    run::step("test");
    let mut tests = run::cargo(["test", "--workspace", "--no-fail-fast", "--"]);
    tests.args(filter).env("BERTH_TEST_PYTHON", python).env("BERTH_TEST_PROGRAMS", run::programs("debug")?);
    run::run(&mut tests)
}

/// Runs the restart storm in its full size, or in the one given.
pub(crate) fn storm(size: &[String]) -> Result<()> {
    host::install(host::DEMO)?;
    run::step("build");
    run::run(&mut run::cargo(["build", "--quiet", "--workspace", "--bins"]))?;
    run::step("storm");
    let mut test = run::cargo(["test", "-p", "e2e", "--test", "suite", "--", "--nocapture", "storm::"]);
    test.env("BERTH_TEST_PROGRAMS", run::programs("debug")?)
        .env("BERTH_STORM", size.first().map_or("50,120", String::as_str));
    run::run(&mut test)
}
