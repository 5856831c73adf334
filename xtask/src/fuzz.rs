//! `cargo xtask fuzz`: the targets of `tests/fuzz` under cargo-fuzz, with its sanitizer and its coverage.
//!
//! Inputs that lead somewhere new stay in `fuzz/corpus`; one that fails lies in `fuzz/artifacts`, and goes among the
//! seeds of `tests/fuzz/seeds` when it is mended, where the test that needs no nightly compiler finds it, too.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::run;

/// Seconds for a target.
const SECONDS: &str = "600";

/// Runs one target or all, as long as is said each.
pub(crate) fn main(args: &[String]) -> Result<()> {
    let (wanted, seconds) = match args {
        [] => (None, SECONDS),
        [target] => (Some(target.as_str()), SECONDS),
        [target, seconds] => (Some(target.as_str()), seconds.as_str()),
        _ => bail!("usage: cargo xtask fuzz [TARGET|all [SECONDS]]"),
    };
    let known = targets()?;
    let chosen: Vec<_> = known
        .iter()
        .filter(|target| wanted.is_none_or(|wanted| wanted == "all" || wanted == target.as_str()))
        .collect();
    if chosen.is_empty() {
        bail!("there is no target {:?}; there are {}", wanted.unwrap_or_default(), known.join(", "));
    }
    let tool = run::output(cargo().args(["fuzz", "--version"]));
    tool.context("`rustup toolchain install nightly` and `cargo install cargo-fuzz` give what this needs")?;
    run::step("build");
    run::run(cargo().args(["fuzz", "build"]))?;
    let mut failed = Vec::new();
    for target in chosen {
        run::step(target);
        if run::run(&mut fuzz(target, seconds)?).is_err() {
            failed.push(target.as_str());
        }
    }
    if !failed.is_empty() {
        bail!("what failed lies in fuzz/artifacts: {}", failed.join(", "));
    }
    Ok(())
}

/// Cargo of the nightly compiler. Flags of our own for static programs are not for a sanitizer: cargo-fuzz sets others
/// in their place.
fn cargo() -> Command {
    let mut command = Command::new("cargo");
    // What runs this has set these to the project's own compiler.
    command.env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO").arg("+nightly").current_dir(run::root());
    command
}

fn fuzz(target: &str, seconds: &str) -> Result<Command> {
    let corpus = run::root().join("fuzz/corpus").join(target);
    std::fs::create_dir_all(&corpus)?;
    let seeds = run::root().join("tests/fuzz/seeds").join(target);
    let mut command = cargo();
    command.args(["fuzz", "run", target]).arg(corpus).arg(seeds).arg("--");
    // The longest input of any target; those that take less leave out what is longer.
    command.arg(format!("-max_total_time={seconds}"));
    command.args(["-max_len=16384", "-timeout=20", "-rss_limit_mb=2048", "-print_final_stats=1"]);
    Ok(command)
}

/// The programs that `fuzz/Cargo.toml` names.
fn targets() -> Result<Vec<String>> {
    let text = std::fs::read_to_string(run::root().join("fuzz/Cargo.toml"))?;
    let names = text.lines().filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
    // The first name is the package's.
    Ok(names.skip(1).map(str::to_owned).collect())
}
