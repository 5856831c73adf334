//! What a shim and the program that forwards a container's output say to each other, over a stream socket.
//!
//! The shim begins with [`Hello`]: a length (little-endian `u32`), a flag byte, and settings of that many bytes that only
//! the program understands. The program answers with a length and that many bytes of text: none when it is ready,
//! else the reason why it is not. Then messages follow, each a fixed header and the line. The end of the stream is
//! the end of the container's output.

use super::entry::Stream;

/// Bytes before the settings.
pub const HELLO: usize = 5;
/// Bytes before a line.
pub const HEADER: usize = 28;
/// Longest settings, and longest line, in bytes.
pub const MAX_LENGTH: usize = 1 << 20;

/// One message and its circumstances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// Where it was written to.
    pub stream: Stream,
    /// When, in nanoseconds since 1970.
    pub nanos: i64,
    /// Set when it is a part of a line that was too long, or that never ended.
    pub part: Option<Part>,
    /// The bytes, without their newline.
    pub line: &'a [u8],
}

/// Which part of which line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// The line's number among those in parts, from 1.
    pub number: u64,
    /// The part's number in the line, from 1.
    pub ordinal: u32,
    /// The line ends with it.
    pub last: bool,
}

/// The first bytes on the wire. `again`: an earlier program has ended, and the container runs; this one has to go on
/// trying, since there is nobody left to be told that it can't.
#[must_use]
pub fn hello(settings: &str, again: bool) -> Vec<u8> {
    let mut out = u32::try_from(settings.len()).unwrap_or(u32::MAX).to_le_bytes().to_vec();
    out.push(again.into());
    out.extend_from_slice(settings.as_bytes());
    out
}

/// Append one message.
pub fn encode(out: &mut Vec<u8>, message: &Message<'_>) {
    let length = u32::try_from(message.line.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_le_bytes());
    out.push(message.stream.number());
    out.push(match message.part {
        None => 0,
        Some(Part { last: false, .. }) => 1,
        Some(Part { last: true, .. }) => 2,
    });
    out.extend_from_slice(&[0; 2]);
    out.extend_from_slice(&message.nanos.to_le_bytes());
    out.extend_from_slice(&message.part.map_or(0, |part| part.number).to_le_bytes());
    out.extend_from_slice(&message.part.map_or(0, |part| part.ordinal).to_le_bytes());
    out.extend_from_slice(message.line);
}

/// How many bytes the message at the start of `bytes` takes; `None` when its length is not all there.
#[must_use]
pub fn length(bytes: &[u8]) -> Option<usize> {
    Some(HEADER + u32::from_le_bytes(*bytes.first_chunk()?) as usize)
}

/// The message at the start of `bytes`, if it is whole.
#[must_use]
pub fn decode(bytes: &[u8]) -> Option<Message<'_>> {
    let whole = bytes.get(..length(bytes)?)?;
    let (header, line) = whole.split_first_chunk::<HEADER>()?;
    let &[_, _, _, _, stream, flag, _, _, ref rest @ ..] = header;
    let (nanos, rest) = rest.split_first_chunk()?;
    let (number, rest) = rest.split_first_chunk()?;
    let ordinal = u32::from_le_bytes(*rest.first_chunk()?);
    let part = (flag > 0).then(|| Part { number: u64::from_le_bytes(*number), ordinal, last: flag == 2 });
    let stream = if stream == 2 { Stream::Stderr } else { Stream::Stdout };
    Some(Message { stream, nanos: i64::from_le_bytes(*nanos), part, line })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        let part = Part { number: 7, ordinal: 3, last: true };
        let one = Message { stream: Stream::Stderr, nanos: -5, part: Some(part), line: b"hello" };
        let two = Message { stream: Stream::Stdout, nanos: 1 << 60, part: None, line: b"" };
        let mut out = Vec::new();
        encode(&mut out, &one);
        encode(&mut out, &two);
        assert_eq!(decode(&out), Some(one));
        assert_eq!(length(&out), Some(HEADER + 5));
        assert_eq!(decode(&out[HEADER + 5..]), Some(two));
        assert_eq!(decode(&out[..HEADER + 4]), None);
    }
}
