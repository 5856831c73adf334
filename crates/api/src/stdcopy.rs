//! The multiplexed stream of attach, logs and exec without a terminal: 8 bytes of header, then the data.
//!
//! `[stream, 0, 0, 0, length as big-endian u32]`.

/// Length of a frame's header, in bytes.
pub const HEADER: usize = 8;

/// Which stream a frame belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard input (never sent by a daemon).
    Stdin,
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// An error of the daemon itself, as text.
    System,
}

impl Stream {
    /// The header of a frame of `length` bytes.
    #[must_use]
    pub fn header(self, length: u32) -> [u8; HEADER] {
        let [a, b, c, d] = length.to_be_bytes();
        [self as u8, 0, 0, 0, a, b, c, d]
    }

    /// Reads a header: the stream and the number of bytes that follow. `None` for an unknown stream.
    #[must_use]
    pub fn parse(header: [u8; HEADER]) -> Option<(Self, u32)> {
        let stream = match header[0] {
            0 => Self::Stdin,
            1 => Self::Stdout,
            2 => Self::Stderr,
            3 => Self::System,
            _ => return None,
        };
        Some((stream, u32::from_be_bytes([header[4], header[5], header[6], header[7]])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_round_trip() {
        let header = Stream::Stderr.header(0x0102);
        assert_eq!(header, [2, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!(Stream::parse(header), Some((Stream::Stderr, 0x0102)));
        assert_eq!(Stream::parse([9, 0, 0, 0, 0, 0, 0, 0]), None);
    }
}
