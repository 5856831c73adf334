//! The one way out: everything this program prints goes through here.

use std::cell::RefCell;
use std::io::{self, IsTerminal, Write};

use crate::error::{Error, Result};

/// What is collected before it is written.
const BUFFER: usize = 32 << 10;

/// Standard output (buffered) and standard error (not).
#[derive(Debug, Default)]
pub(crate) struct Out {
    pending: RefCell<Vec<u8>>,
}

impl Out {
    /// Prints text as it is.
    pub(crate) fn text(&self, text: &str) -> Result<()> {
        self.bytes(text.as_bytes())
    }

    /// Prints a line.
    pub(crate) fn line(&self, text: &str) -> Result<()> {
        self.text(text)?;
        self.text("\n")
    }

    /// Prints bytes as they are.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> Result<()> {
        let full = {
            let mut pending = self.pending.borrow_mut();
            pending.extend_from_slice(bytes);
            pending.len() >= BUFFER
        };
        if full { self.flush() } else { Ok(()) }
    }

    /// Hands everything to the kernel.
    pub(crate) fn flush(&self) -> Result<()> {
        let pending = std::mem::take(&mut *self.pending.borrow_mut());
        if pending.is_empty() {
            return Ok(());
        }
        let mut stdout = io::stdout().lock();
        stdout.write_all(&pending).and_then(|()| stdout.flush()).map_err(Error::io("write standard output"))
    }

    /// Prints bytes at once, for streams that someone is watching.
    pub(crate) fn now(&self, bytes: &[u8]) -> Result<()> {
        self.flush()?;
        let mut rest = bytes;
        // Past the standard library's line buffer, which would split what arrived together.
        while !rest.is_empty() {
            match rustix::io::write(io::stdout(), rest) {
                Ok(count) => rest = &rest[count..],
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => {
                    return Err(Error::Io { what: "write standard output".into(), error: error.into() });
                }
            }
        }
        Ok(())
    }

    /// Prints a line to standard error; that nobody reads it is no error.
    pub(crate) fn error_line(&self, text: &str) {
        self.error_bytes(format!("{text}\n").as_bytes());
    }

    /// Prints bytes to standard error.
    pub(crate) fn error_bytes(&self, bytes: &[u8]) {
        drop(self.flush());
        drop(io::stderr().lock().write_all(bytes));
    }

    /// Whether standard output is a terminal.
    pub(crate) fn is_terminal(&self) -> bool {
        io::stdout().is_terminal()
    }
}

/// The columns of the terminal that standard output is, if it is one.
pub(crate) fn columns() -> Option<usize> {
    rustix::termios::tcgetwinsize(io::stdout())
        .ok()
        .map(|size| usize::from(size.ws_col))
        .filter(|columns| *columns > 0)
}
