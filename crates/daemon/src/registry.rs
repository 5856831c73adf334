//! The registry that `berth registry serve` runs: a process of its own, in `berthd`'s program.

use anyhow::Result;
use registry::server::{self, config::Level};
use tracing_subscriber::filter::LevelFilter;

use crate::config::LogForm;
use crate::logging::Logging;

/// What this program is called as to be a registry.
pub const PROGRAM: &str = server::PROGRAM;

/// Serves as the words after the program's name say.
///
/// # Errors
/// The configuration is wrong, or the registry can't start.
pub fn run(words: impl Iterator<Item = std::ffi::OsString>) -> Result<()> {
    let mut words = words.peekable();
    if words.peek().is_some_and(|word| word == crate::manifests::VERB) {
        return crate::manifests::run();
    }
    let path = server::options(words)?;
    let config = server::config::Config::read(&path)?;
    let _logging = Logging::start(level(config.log.level), LogForm::Text { raw: false });
    Ok(server::run(path, config)?)
}

fn level(level: Level) -> LevelFilter {
    match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
    }
}
