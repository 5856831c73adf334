//! berthd: serves the Docker Engine API. Called `berth-log` by a shim, it forwards a container's output instead.

use std::io::Write as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    if arguments.next().is_some_and(|name| name == logdriver::forward::PROGRAM) {
        return ExitCode::from(logdriver::forward::run());
    }
    match daemon::run(std::env::args_os()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell when standard error is closed.
            let _ = writeln!(std::io::stderr(), "berthd: {error:#}");
            ExitCode::FAILURE
        }
    }
}
