//! `cargo xtask check`: everything about the source that needs no run.

use anyhow::Result;

use crate::{run, tidy};

pub(crate) fn main() -> Result<()> {
    run::step("rustfmt");
    run::run(&mut run::cargo(["fmt", "--all", "--check"]))?;
    tidy::main()?;
    run::step("clippy");
    run::run(&mut run::cargo(["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}
