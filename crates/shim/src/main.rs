//! berth-shim: parent of one container's processes. Started by `berthd`; see the library.

use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    if shim::init::is_called(arguments.next().as_ref()) {
        return ExitCode::from(shim::init::run(arguments));
    }
    match shim::run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            // the daemon has directed it to a file; without one there is nobody to tell
            let _ = writeln!(std::io::stderr(), "berth-shim: {message}");
            ExitCode::FAILURE
        }
    }
}
