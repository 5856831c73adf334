//! berthd: serves the Docker Engine API. Called `berth-log` by a shim, it forwards a container's output instead; called
//! `berth-registry`, it is a registry.

use std::io::Write as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut words = std::env::args_os();
    let (name, outcome) = match words.next() {
        Some(name) if name == logdriver::forward::PROGRAM => {
            return ExitCode::from(logdriver::forward::run());
        }
        Some(name) if name == daemon::registry::PROGRAM => {
            (daemon::registry::PROGRAM, daemon::registry::run(words))
        }
        _ => ("berthd", daemon::run(std::env::args_os())),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell when standard error is closed.
            let _ = writeln!(std::io::stderr(), "{name}: {error:#}");
            ExitCode::FAILURE
        }
    }
}
