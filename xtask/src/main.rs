//! The developer's commands: `cargo xtask check | tidy | test | storm | churn | fuzz | demo | compat | bench | user | vm`.

use std::process::ExitCode;

mod bench;
mod check;
mod compat;
mod demo;
mod fuzz;
mod host;
mod run;
mod test;
mod tidy;
mod user;
mod vm;

const USAGE: &str = include_str!("usage.txt");

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
        "fuzz" => fuzz::main(rest),
        "churn" => test::churn(rest),
        "storm" => test::storm(rest),
        "test" => test::main(rest),
        "tidy" => tidy::main(),
        "user" => user::main(rest),
        "vm" => vm::main(rest),
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
