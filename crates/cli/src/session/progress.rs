//! What the daemon tells while it loads, pulls or imports: a stream of JSON messages.

use std::io::{BufRead, BufReader, Read};

use api::progress::Message;

use crate::error::{Error, Result, reason};
use crate::out::Out;

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

/// Shows messages until the stream ends; an error among them is the result. Steps of a running
/// transfer are for terminals only.
pub(crate) fn show(out: &Out, stream: impl Read, target: Target, quiet: bool) -> Result<()> {
    let terminal = target == Target::Output && out.is_terminal();
    let mut stream = BufReader::new(stream);
    let mut open_line = false;
    loop {
        let mut line = Vec::new();
        let count = stream
            .by_ref()
            .take(LINE_LIMIT)
            .read_until(b'\n', &mut line)
            .map_err(|error| Error::Transport(format!("the answer broke off: {}", reason(&error))))?;
        if count == 0 {
            break;
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        let message: Message = serde_json::from_slice(&line)
            .map_err(|error| Error::Transport(format!("the answer is not JSON: {error}")))?;
        if let Some(error) = complaint(&message) {
            if open_line {
                out.text("\n")?;
            }
            return Err(Error::said(error));
        }
        if quiet {
            continue;
        }
        let Some((text, step)) = text(&message) else { continue };
        if step && !terminal {
            continue;
        }
        let text = match (open_line, step) {
            (_, true) => format!("\r\x1b[2K{}", text.trim_end()),
            (true, false) => format!("\r\x1b[2K{text}"),
            (false, false) => text,
        };
        open_line = step;
        match target {
            Target::Output => out.now(text.as_bytes())?,
            Target::Error => out.error_bytes(text.as_bytes()),
        }
    }
    if open_line { out.text("\n") } else { Ok(()) }
}

fn complaint(message: &Message) -> Option<String> {
    let detail = message.error_detail.as_ref().map(|detail| detail.message.clone());
    detail
        .filter(|text| !text.is_empty())
        .or_else(|| (!message.error.is_empty()).then(|| message.error.clone()))
}

/// The text of a message, and whether it is a step of a transfer.
fn text(message: &Message) -> Option<(String, bool)> {
    if !message.stream.is_empty() {
        return Some((message.stream.clone(), false));
    }
    if message.status.is_empty() {
        return None;
    }
    let name = if message.id.is_empty() { String::new() } else { format!("{}: ", message.id) };
    let step = message.progress_detail.as_ref().is_some_and(|detail| detail.current > 0);
    let progress = if message.progress.is_empty() { String::new() } else { format!(" {}", message.progress) };
    Some((format!("{name}{}{progress}\n", message.status), step))
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
    fn texts() {
        let message = Message { status: "Waiting".into(), id: "abc".into(), ..Message::default() };
        assert_eq!(text(&message), Some(("abc: Waiting\n".into(), false)));
    }
}
