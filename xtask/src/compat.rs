//! `cargo xtask compat`: writes `docs/compat.md` from the table of likeness; nothing is run on an engine.

use anyhow::Result;

use crate::run;

pub(crate) fn main() -> Result<()> {
    let mut test = run::cargo(["test", "--quiet", "--package", "e2e", "--test", "suite", "--"]);
    run::run(test.arg("table::the_table_is_whole_and_written_down").env("BERTH_WRITE_COMPAT", "1"))
}
