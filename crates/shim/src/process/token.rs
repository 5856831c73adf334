//! Whose descriptors the shim waits for.

use crate::poll;

/// The one place where the shim waits.
pub(super) type Poller = poll::Poller<Token>;
/// A descriptor of ours whose interest changes.
pub(super) type Watched = poll::Watched<Token>;

/// Whose descriptor has become ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    /// Signals.
    Signals,
    /// The socket that daemons connect to.
    Listener,
    /// The kernel has killed for want of memory.
    Oom,
    /// A daemon's connection.
    Daemon(u64),
    /// A session's standard output.
    Stdout(u64),
    /// A session's standard error.
    Stderr(u64),
    /// A session's standard input.
    Stdin(u64),
    /// An attached client.
    Client(u64),
    /// The program that output is handed to takes more.
    Log,
    /// Published ports have work.
    Ports,
}

/// The kind takes the low bits, the number the rest.
const KIND_BITS: u32 = 4;

impl poll::Token for Token {
    fn encode(self) -> u64 {
        let (kind, number) = match self {
            Self::Signals => (0, 0),
            Self::Listener => (1, 0),
            Self::Oom => (2, 0),
            Self::Daemon(n) => (3, n),
            Self::Stdout(n) => (4, n),
            Self::Stderr(n) => (5, n),
            Self::Stdin(n) => (6, n),
            Self::Client(n) => (7, n),
            Self::Log => (8, 0),
            Self::Ports => (9, 0),
        };
        number << KIND_BITS | kind
    }

    fn decode(data: u64) -> Self {
        let number = data >> KIND_BITS;
        match data & ((1 << KIND_BITS) - 1) {
            0 => Self::Signals,
            1 => Self::Listener,
            2 => Self::Oom,
            3 => Self::Daemon(number),
            4 => Self::Stdout(number),
            5 => Self::Stderr(number),
            6 => Self::Stdin(number),
            7 => Self::Client(number),
            8 => Self::Log,
            _ => Self::Ports,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::poll::Token as _;

    #[test]
    fn tokens_survive() {
        for token in [
            Token::Signals,
            Token::Listener,
            Token::Oom,
            Token::Daemon(1),
            Token::Stdout(2),
            Token::Stderr(3),
            Token::Stdin(1 << 40),
            Token::Client(u64::MAX >> KIND_BITS),
            Token::Log,
            Token::Ports,
        ] {
            assert_eq!(Token::decode(token.encode()), token);
        }
    }
}
