//! `berth-oci`: runc's command line over the `runtime` crate.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main(std::env::args_os().skip(1))
}
