//! Where the saved image comes from, and how far it has come.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read};

use api::Action;

use crate::command::Context;
use crate::error::{Error, Result, reason};
use crate::flag::Matches;
use crate::format::units;

/// Takes the line with the progress away.
pub(super) const CLEAR: &[u8] = b"\r\x1b[2K";
/// Bytes after which the progress is told anew.
const STEP: u64 = 8 << 20;
/// What is read at once.
const BUFFER: usize = 256 << 10;

/// The stream of `save`, from the daemon or from a file.
pub(super) fn open<'a>(context: &'a Context<'_>, matches: &'a Matches) -> Result<impl BufRead + 'a> {
    let source: Box<dyn Read> = match (matches.get("input"), matches.args.first()) {
        ("", None) => {
            return Err(Error::said("name an image, or a file by --input"));
        }
        ("", Some(image)) => {
            let request = context.client()?.call(Action::ImageGet, image);
            let platform = super::super::platform_json(matches.get("platform"));
            Box::new(request.given("platform", &platform).open()?.1)
        }
        ("-", _) if io::stdin().is_terminal() => {
            return Err(Error::said("standard input is a terminal: redirect a saved image to it"));
        }
        ("-", _) => Box::new(io::stdin().lock()),
        (path, _) => {
            let file =
                File::open(path).map_err(|error| Error::said(format!("open {path}: {}", reason(&error))))?;
            Box::new(file)
        }
    };
    let shown = io::stderr().is_terminal();
    Ok(BufReader::with_capacity(BUFFER, Counted { source, context, shown, read: 0, told: 0 }))
}

/// Tells on a terminal how much has been read.
struct Counted<'a, 'b, R> {
    source: R,
    context: &'a Context<'b>,
    shown: bool,
    read: u64,
    told: u64,
}

impl<R: Read> Read for Counted<'_, '_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.read += count as u64;
        if self.shown && self.read >= self.told + STEP {
            self.told = self.read;
            let size = units::short_size(self.read.cast_signed());
            self.context.out.error_bytes(&[CLEAR, format!("Reading layers: {size}").as_bytes()].concat());
        }
        Ok(count)
    }
}
