//! `HEALTHCHECK`

use super::CommandLine;

/// `HEALTHCHECK NONE` or `HEALTHCHECK [options] CMD command`. Times in nanoseconds, 0 where the default applies; nothing
/// expands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Healthcheck {
    /// Takes an inherited check away.
    None,
    /// A probe.
    Probe {
        /// Shell form: `CMD-SHELL`; exec form: `CMD`.
        command: CommandLine,
        /// `--interval`
        interval: i64,
        /// `--timeout`
        timeout: i64,
        /// `--start-period`
        start_period: i64,
        /// `--start-interval`
        start_interval: i64,
        /// `--retries`, 0 for the default.
        retries: i32,
    },
}

impl Healthcheck {
    /// What stands in the image's configuration as `Test`.
    pub fn test(&self) -> Vec<String> {
        match self {
            Self::None => vec!["NONE".to_owned()],
            Self::Probe { command: CommandLine::Shell(text), .. } => {
                vec!["CMD-SHELL".to_owned(), text.text.clone()]
            }
            Self::Probe { command: CommandLine::Exec(words), .. } => {
                ["CMD".to_owned()].into_iter().chain(words.iter().map(|word| word.text.clone())).collect()
            }
        }
    }
}
