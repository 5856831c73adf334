//! Everything that can go wrong, and what the user gets of it: exit code, sentence, hint.

use std::io;

/// The exit code when the daemon or the command line is at fault, not the container.
pub(crate) const DAEMON_FAULT: u8 = 125;
/// The exit code when a template can't be read.
pub(crate) const TEMPLATE_FAULT: u8 = 64;
/// The exit code of a writer whose reader went away (128 + SIGPIPE).
const PIPE_CLOSED: u8 = 141;

/// A failed command.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The daemon answered with an error.
    #[error("Error response from daemon: {message}")]
    Daemon {
        /// HTTP status.
        status: u16,
        /// The daemon's own sentence.
        message: String,
    },
    /// Nobody listens there.
    #[error("Cannot connect to the {name} daemon at {host}. Is {program} running?{reason}")]
    Unreachable {
        /// `Berth`, or `Docker` when called so.
        name: &'static str,
        /// What should be running there.
        program: &'static str,
        /// The address as a URL.
        host: String,
        /// Why, when it is not simply absent; starts with a line break.
        reason: String,
    },
    /// The connection broke or spoke no HTTP.
    #[error("error during connect: {0}")]
    Transport(String),
    /// A sentence that stands for itself.
    #[error("{0}")]
    Said(String),
    /// `run` or `create` failed before the container's own exit code existed.
    #[error("{text}")]
    Run {
        /// 125, 126 or 127.
        code: u8,
        /// What happened.
        text: String,
    },
    /// As [`Error::Said`], with an exit code of its own.
    #[error("{text}")]
    Plain {
        /// The exit code.
        code: u8,
        /// The sentence.
        text: String,
    },
    /// A flag was wrong; the usage line follows.
    #[error("{0}")]
    Flag(String),
    /// The number of arguments was wrong; the sentence and the usage line are complete.
    #[error("{0}")]
    Usage(String),
    /// All was said; leave with this code.
    #[error("exit {0}")]
    Exit(u8),
    /// Reading or writing here failed.
    #[error("{what}: {error}")]
    Io {
        /// The file or stream.
        what: String,
        /// The reason.
        error: io::Error,
    },
}

/// The result of a command.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A sentence of our own.
    pub(crate) fn said(text: impl Into<String>) -> Self {
        Self::Said(text.into())
    }

    /// For `map_err`: names what was read or written.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |error| Self::Io { what, error }
    }

    /// Whether the daemon said "no such thing".
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Daemon { status: 404, .. })
    }

    /// Whether there is no such thing, or the daemon knows no things of that type.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::Daemon { status: 404 | 501, .. })
    }

    /// What goes to standard error, without the last line break; `None`: nothing.
    pub(crate) fn sentence(&self, path: &str, usage: &str) -> Option<String> {
        let program = path.split(' ').next().unwrap_or(path);
        match self {
            Self::Exit(_) => None,
            Self::Io { error, .. } if error.kind() == io::ErrorKind::BrokenPipe => None,
            Self::Run { text, .. } => {
                Some(format!("{program}: {text}\n\nRun '{path} --help' for more information"))
            }
            Self::Flag(text) => {
                Some(format!("{text}\n\nUsage:  {usage}\n\nRun '{path} --help' for more information"))
            }
            Self::Usage(text) => Some(format!("{program}: {text}")),
            other => Some(other.to_string()),
        }
    }

    /// The process's exit code.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Exit(code) | Self::Run { code, .. } | Self::Plain { code, .. } => *code,
            Self::Flag(_) => DAEMON_FAULT,
            Self::Io { error, .. } if error.kind() == io::ErrorKind::BrokenPipe => PIPE_CLOSED,
            _ => 1,
        }
    }
}

/// The exit code for a container that could not be started, judged by the daemon's sentence.
pub(crate) fn start_failure_code(message: &str) -> u8 {
    const NOT_FOUND: [&str; 2] = ["executable file not found", "no such file or directory"];
    const NOT_ALLOWED: [&str; 2] = ["permission denied", "is a directory"];
    let lower = message.to_ascii_lowercase();
    if NOT_FOUND.iter().any(|part| lower.contains(part)) {
        127
    } else if NOT_ALLOWED.iter().any(|part| lower.contains(part)) {
        126
    } else {
        DAEMON_FAULT
    }
}

/// The reason of a system error without the number that Rust appends.
pub(crate) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_failures() {
        assert_eq!(start_failure_code("exec: \"x\": executable file not found in $PATH"), 127);
        assert_eq!(start_failure_code("exec /etc: permission denied"), 126);
        assert_eq!(start_failure_code("no space left on device"), 125);
    }

    #[test]
    fn sentences_and_codes() {
        let flag = Error::Flag("unknown flag: --x".into());
        assert_eq!(
            flag.sentence("berth run", "berth run [OPTIONS] IMAGE").unwrap(),
            "unknown flag: --x\n\nUsage:  berth run [OPTIONS] IMAGE\n\nRun 'berth run --help' for more information"
        );
        assert_eq!(flag.code(), 125);
        assert_eq!(Error::Exit(3).sentence("berth", ""), None);
        let pipe = Error::Io { what: "stdout".into(), error: io::ErrorKind::BrokenPipe.into() };
        assert_eq!((pipe.sentence("berth", ""), pipe.code()), (None, 141));
    }
}
