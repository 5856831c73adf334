//! How a build is shown.

mod excerpt;
mod plain;
mod rawjson;
mod state;
mod tty;

use buildkit::proto::control::StatusResponse;

use crate::error::{Error, Result};
use crate::out::Out;
pub(super) use excerpt::excerpt;
use state::State;

/// `--progress`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// The live view on a terminal, else lines.
    Auto,
    /// Lines as they come.
    Plain,
    /// The live view.
    Tty,
    /// BuildKit's own messages, one JSON object a line.
    RawJson,
    /// Nothing but the result.
    Quiet,
}

impl Progress {
    pub(super) fn parse(text: &str) -> Result<Self> {
        match text {
            "" | "auto" => Ok(Self::Auto),
            "plain" => Ok(Self::Plain),
            "tty" => Ok(Self::Tty),
            "rawjson" => Ok(Self::RawJson),
            "quiet" | "none" => Ok(Self::Quiet),
            other => {
                Err(Error::said(format!("invalid progress mode {other}: auto, plain, tty, rawjson or quiet")))
            }
        }
    }
}

/// What is on the screen, on standard error.
pub(super) struct Display<'a> {
    out: &'a Out,
    state: State,
    kind: Kind,
}

enum Kind {
    Plain(plain::Plain),
    Tty(tty::Tty),
    RawJson,
    Quiet,
}

impl<'a> Display<'a> {
    pub(super) fn new(out: &'a Out, progress: Progress) -> Result<Self> {
        let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
        let kind = match progress {
            Progress::Auto if terminal => Kind::Tty(tty::Tty::default()),
            Progress::Tty if terminal => Kind::Tty(tty::Tty::default()),
            Progress::Tty => return Err(Error::said("failed to get console: standard error is no terminal")),
            Progress::Auto | Progress::Plain => Kind::Plain(plain::Plain::default()),
            Progress::RawJson => Kind::RawJson,
            Progress::Quiet => Kind::Quiet,
        };
        Ok(Self { out, state: State::default(), kind })
    }

    /// Takes in what the daemon says.
    pub(super) fn tell(&mut self, message: &StatusResponse) {
        self.state.take(message);
        let text = match &mut self.kind {
            Kind::Plain(plain) => plain.text(&self.state, message),
            Kind::RawJson => rawjson::line(message),
            Kind::Tty(_) | Kind::Quiet => return,
        };
        self.out.error_bytes(text.as_bytes());
    }

    /// Time has passed.
    pub(super) fn tick(&mut self) {
        if let Kind::Tty(tty) = &mut self.kind {
            let text = tty.frame(&self.state, size(), false);
            self.out.error_bytes(text.as_bytes());
        }
    }

    /// There is no more; what went wrong is shown with its output.
    pub(super) fn end(&mut self) {
        let mut text = match &mut self.kind {
            Kind::Tty(tty) => tty.frame(&self.state, size(), true),
            _ => String::new(),
        };
        if !matches!(self.kind, Kind::RawJson) {
            if !matches!(self.kind, Kind::Quiet) {
                text.push_str(&self.state.warnings());
            }
            text.push_str(&self.state.failures());
        }
        self.out.error_bytes(text.as_bytes());
    }
}

/// Rows and columns of standard error's terminal.
fn size() -> (usize, usize) {
    let size = rustix::termios::tcgetwinsize(std::io::stderr());
    size.map_or((24, 80), |size| (usize::from(size.ws_row).max(4), usize::from(size.ws_col).max(20)))
}
