//! berthd: serves the Docker Engine API.

use std::io::Write as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    match daemon::run(std::env::args_os()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell when standard error is closed.
            let _ = writeln!(std::io::stderr(), "berthd: {error:#}");
            ExitCode::FAILURE
        }
    }
}
