//! What the daemon is told: flags, and `daemon.json`.

mod builder;
mod file;
mod flags;
mod given;
mod parse;
mod registries;
mod settings;
mod table;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

pub(crate) use given::Given;
pub(crate) use settings::{LogForm, Settings, TcpSecurity, Tls};

use crate::rootless;
use flags::Command;

/// The configuration file that need not exist.
const DEFAULT_FILE: &str = "/etc/berth/daemon.json";

/// What was asked on the command line.
pub(crate) enum Asked {
    /// Print this and end.
    Print(String),
    /// Serve (or, with `validate`, only say that the settings are good).
    Serve(Box<Source>),
}

/// Where settings come from; kept, because a reload reads the file again.
pub(crate) struct Source {
    flags: Given,
    file: PathBuf,
    file_is_asked_for: bool,
    /// Only check.
    pub(crate) validate: bool,
    /// Where to write a byte when the daemon is ready.
    pub(crate) ready_fd: Option<i32>,
}

/// Reads the command line.
///
/// # Errors
/// An unknown flag, or a value that is none.
pub(crate) fn read(args: impl Iterator<Item = OsString>) -> Result<Asked> {
    Ok(match flags::read(args)? {
        Command::Print(text) => Asked::Print(text),
        Command::Serve { given, config_file, validate, ready_fd } => Asked::Serve(Box::new(Source {
            flags: given,
            file_is_asked_for: config_file.is_some(),
            file: config_file.unwrap_or_else(default_file),
            validate,
            ready_fd,
        })),
    })
}

/// Root's, or the user's.
fn default_file() -> PathBuf {
    let users = rootless::roots().ok().flatten();
    users.map_or_else(|| PathBuf::from(DEFAULT_FILE), |roots| roots.config)
}

impl Source {
    /// Flags and file, merged and checked.
    ///
    /// # Errors
    /// Names the flag or key, and what is wrong with it.
    pub(crate) fn settings(&self) -> Result<Settings> {
        let file = file::read(&self.file, self.file_is_asked_for)
            .and_then(|file| {
                given::refuse_conflicts(&self.flags, &file)?;
                Ok(file)
            })
            .with_context(|| self.what(&self.file))?;
        given::refuse_unsupported(&self.flags, |option| format!("--{}", option.flag))?;
        given::refuse_unsupported(&file, |option| format!("{:?}", option.key))
            .with_context(|| self.what(&self.file))?;
        settings::build(&self.flags.clone().over(file))
    }

    fn what(&self, file: &Path) -> String {
        format!("cannot configure the daemon with {}", file.display())
    }
}

#[cfg(test)]
mod tests;
