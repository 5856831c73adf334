//! What the daemon tells while it loads, pulls, pushes or imports: a stream of JSON messages, shown as Docker
//! shows them. On a terminal every layer has a line of its own; elsewhere each change is a line.

mod bar;
mod lines;

use std::io::{BufRead, BufReader, IsTerminal as _, Read};

use api::progress::Message;
use serde_json::Value;

use crate::error::{Error, Result, reason};
use crate::out::Out;
use lines::Lines;

/// Where progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

/// The longest single message.
const LINE_LIMIT: u64 = 16 << 20;

impl Target {
    fn is_terminal(self, out: &Out) -> bool {
        match self {
            Self::Output => out.is_terminal(),
            Self::Error => std::io::stderr().is_terminal(),
        }
    }

    /// Columns of the terminal; Docker takes 200 where there is none.
    fn columns(self) -> usize {
        let size = match self {
            Self::Output => rustix::termios::tcgetwinsize(std::io::stdout()),
            Self::Error => rustix::termios::tcgetwinsize(std::io::stderr()),
        };
        size.map_or(200, |size| usize::from(size.ws_col))
    }

    fn write(self, out: &Out, text: &str) -> Result<()> {
        match self {
            Self::Output => out.now(text.as_bytes()),
            Self::Error => {
                out.error_bytes(text.as_bytes());
                Ok(())
            }
        }
    }
}

/// Shows messages until the stream ends; an error among them is the result.
pub(crate) fn show(out: &Out, stream: impl Read, target: Target, quiet: bool) -> Result<()> {
    show_with(out, stream, target, quiet, |_| Ok(()))
}

/// As [`show`]; `aux` is given what the daemon says to programs.
pub(crate) fn show_with(
    out: &Out,
    stream: impl Read,
    target: Target,
    quiet: bool,
    mut aux: impl FnMut(&Value) -> Result<()>,
) -> Result<()> {
    let mut lines = Lines::new(target.is_terminal(out));
    each(stream, |message| {
        if let Some(value) = &message.aux {
            return if quiet { Ok(()) } else { aux(value) };
        }
        if quiet {
            return Ok(());
        }
        // Asked anew each time: the window may have been resized.
        let columns = if lines.on_terminal() { target.columns() } else { 0 };
        match lines.text(message, columns) {
            text if text.is_empty() => Ok(()),
            text => target.write(out, &text),
        }
    })
}

/// Every message of a stream; an error among them ends it.
fn each(stream: impl Read, mut one: impl FnMut(&Message) -> Result<()>) -> Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    loop {
        line.clear();
        let count = stream
            .by_ref()
            .take(LINE_LIMIT)
            .read_until(b'\n', &mut line)
            .map_err(|error| Error::Transport(format!("the answer broke off: {}", reason(&error))))?;
        if count == 0 {
            return Ok(());
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        let message: Message = serde_json::from_slice(&line)
            .map_err(|error| Error::Transport(format!("the answer is not JSON: {error}")))?;
        if let Some(error) = complaint(&message) {
            return Err(Error::said(error));
        }
        one(&message)?;
    }
}

fn complaint(message: &Message) -> Option<String> {
    let detail = message.error_detail.as_ref().map(|detail| detail.message.clone());
    detail
        .filter(|text| !text.is_empty())
        .or_else(|| (!message.error.is_empty()).then(|| message.error.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_in_the_stream_is_the_result() {
        let stream = b"{\"status\":\"x\"}\r\n{\"errorDetail\":{\"message\":\"bad\"},\"error\":\"bad\"}\r\n";
        let error = show(&Out::default(), stream.as_slice(), Target::Output, true).unwrap_err();
        assert_eq!(error.to_string(), "bad");
    }

    #[test]
    fn what_is_for_programs_is_handed_over() {
        let stream = b"{\"progressDetail\":{},\"aux\":{\"Tag\":\"1\"}}\r\n";
        let mut seen = Vec::new();
        let target = Target::Output;
        show_with(&Out::default(), stream.as_slice(), target, false, |aux| {
            seen.push(aux.clone());
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, [serde_json::json!({"Tag": "1"})]);
    }
}
