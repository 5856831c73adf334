//! The developer's commands: `cargo xtask check | tidy | test | storm | churn | demo | compat | bench`.

use std::process::ExitCode;

mod bench;
mod check;
mod compat;
mod demo;
mod host;
mod run;
mod test;
mod tidy;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  demo            build berth, make an image from Debian packages, run it, show what it did, clean up
  test [FILTER]   install what the tests need, then check, build and run every test (or those that match)
  storm [SIZE]    kill containers and berthd at random; SIZE is CONTAINERS,SECONDS[,SEED], else 50,120
  storm images [KILLS[,SEED]] | build [KILLS[,SEED]] | registry [SECONDS]  kill berthd in pull, load, rmi, prune; builds; collect garbage
  churn [STARTS]  start and stop containers with published ports, 1000 times, and look for what is left
  check           rustfmt, clippy with every warning an error, tidy
  tidy            layers, budgets and promises of absence of ARCHITECTURE.md
  compat          write docs/compat.md from the table of likeness
  bench [ROW...]  measure against the installed peers and write docs/performance.md;
                  `bench --small images` only tries whether the rows about images work
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = match args.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", &[] as &[String]),
    };
    let result = match command {
        "bench" => bench::main(rest),
        "check" => check::main(),
        "compat" => compat::main(),
        "demo" => demo::main(),
        "churn" => test::churn(rest),
        "storm" => test::storm(rest),
        "test" => test::main(rest),
        "tidy" => tidy::main(),
        "help" | "-h" | "--help" => {
            run::say(USAGE);
            return ExitCode::SUCCESS;
        }
        other => {
            run::complain(&format!("xtask: no command {other:?}\n\n{USAGE}"));
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            run::complain(&format!("xtask {command}: {error:#}\n"));
            ExitCode::FAILURE
        }
    }
}
