//! How many bytes have been copied, on the terminal.

use std::io::{self, IsTerminal, Read, Write};
use std::time::{Duration, Instant};

use crate::format::units;
use crate::out::Out;

/// Between two figures.
const PACE: Duration = Duration::from_millis(500);
const SAVE: &str = "\x1b[s";
const RESTORE: &str = "\x1b[u";
const ERASE_LINE: &str = "\x1b[2K";
const ERASE_REST: &str = "\x1b[0K";
const HIDE: &str = "\x1b[?25l";
const SHOW: &str = "\x1b[?25h";

/// Counts; shows the count while somebody watches.
pub(super) struct Progress<'a> {
    out: &'a Out,
    header: &'static str,
    quiet: bool,
    shows: bool,
    bytes: i64,
    shown: Instant,
}

impl<'a> Progress<'a> {
    /// `header` goes before the figure.
    pub(super) fn begin(out: &'a Out, header: &'static str, quiet: bool) -> Self {
        let shows = !quiet && io::stderr().is_terminal();
        let progress = Self { out, header, quiet, shows, bytes: 0, shown: Instant::now() };
        if shows {
            let zero = units::short_size(0);
            progress.tell(&format!("{SAVE}Preparing to copy...{HIDE}{RESTORE}{ERASE_LINE}{header}{zero}"));
        }
        progress
    }

    fn tell(&self, text: &str) {
        self.out.error_bytes(text.as_bytes());
    }

    fn add(&mut self, count: usize) {
        self.bytes = self.bytes.saturating_add(i64::try_from(count).unwrap_or(i64::MAX));
        if self.shows && self.shown.elapsed() >= PACE {
            let (column, size) = (self.header.len() + 1, units::short_size(self.bytes));
            self.tell(&format!("\x1b[{column}G{ERASE_REST}{size}"));
            self.shown = Instant::now();
        }
    }

    /// The end: what was copied where, unless it failed.
    pub(super) fn end(self, target: Option<&str>) {
        if self.shows {
            self.tell(&format!("{SHOW}{RESTORE}{ERASE_LINE}"));
        }
        if let (false, Some(target)) = (self.quiet, target) {
            let size = units::short_size(self.bytes);
            self.out.error_line(&format!("Successfully copied {size} to {target}"));
        }
    }
}

/// What is read through it is counted.
pub(super) struct Counted<'p, 'a, T>(pub(super) &'p mut Progress<'a>, pub(super) T);

impl<T: Read> Read for Counted<'_, '_, T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.1.read(buffer)?;
        self.0.add(count);
        Ok(count)
    }
}

impl<T: Write> Write for Counted<'_, '_, T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.1.write(bytes)?;
        self.0.add(count);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.1.flush()
    }
}
