//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::Result;
use clap::builder::{OsStringValueParser, ValueParser};
use clap::{Arg, ArgAction, value_parser};

use super::given::{Given, from_words};
use super::table::{Kind, OPTIONS, Opt};

/// What the command line asks for.
pub(super) enum Command {
    /// Help or version.
    Print(String),
    /// To serve.
    Serve {
        /// Options of the table.
        given: Given,
        /// `--config-file`
        config_file: Option<PathBuf>,
        /// `--validate`
        validate: bool,
        /// `--ready-fd`
        ready_fd: Option<i32>,
    },
}

/// Reads the words behind the program's name.
pub(super) fn read(args: impl Iterator<Item = OsString>) -> Result<Command> {
    let matches = match command().try_get_matches_from(args) {
        Ok(matches) => matches,
        Err(error) if !error.use_stderr() => return Ok(Command::Print(error.to_string())),
        Err(error) => {
            let text = error.to_string();
            return Err(anyhow::anyhow!(
                "{}",
                text.strip_prefix("error: ").unwrap_or(&text).trim_end().to_owned()
            ));
        }
    };
    let mut given = Given::default();
    for option in with_flag() {
        if let Some(words) = matches.get_many::<String>(option.flag) {
            given.set(option, from_words(option, words.cloned().collect())?);
        }
    }
    Ok(Command::Serve {
        given,
        config_file: matches.get_one::<OsString>("config-file").map(PathBuf::from),
        validate: matches.get_flag("validate"),
        ready_fd: matches.get_one::<i32>("ready-fd").copied(),
    })
}

fn with_flag() -> impl Iterator<Item = &'static Opt> {
    OPTIONS.iter().filter(|option| !option.flag.is_empty())
}

fn command() -> clap::Command {
    clap::Command::new("berthd")
        .version(concat!(env!("CARGO_PKG_VERSION"), ", API 1.24 to 1.55"))
        .about("Serves the Docker Engine API, and runs containers")
        .arg(
            Arg::new("config-file")
                .long("config-file")
                .value_name("FILE")
                .value_parser(OsStringValueParser::new())
                .help(concat!("Configuration file [default: ", "/etc/berth/daemon.json", "]")),
        )
        .arg(
            Arg::new("validate")
                .long("validate")
                .action(ArgAction::SetTrue)
                .help("Check the configuration, and end"),
        )
        .arg(
            Arg::new("ready-fd")
                .long("ready-fd")
                .value_name("FD")
                .value_parser(value_parser!(i32).range(0..))
                .help("Write one byte to this descriptor when requests are served"),
        )
        .args(with_flag().map(arg))
}

fn arg(option: &'static Opt) -> Arg {
    let arg = Arg::new(option.flag)
        .long(option.flag)
        .help(option.help)
        .value_parser(ValueParser::string())
        .action(ArgAction::Append);
    let arg = match option.short {
        Some(short) => arg.short(short),
        None => arg,
    };
    match option.kind {
        Kind::Flag => {
            arg.num_args(0..=1).require_equals(true).default_missing_value("true").value_name("BOOL")
        }
        Kind::Int => arg.value_name("NUMBER").allow_negative_numbers(true),
        _ => arg.value_name("VALUE"),
    }
}
