//! `berth image explore`: what each layer adds, changes and removes, and which of its bytes are wasted.

mod ci;
mod source;
mod text;

use std::io::{self, IsTerminal, Write};

use explore::{Choice, Image, Limits};
use oci::Platform;

use crate::command::{Arity, Command, Context};
use crate::error::{Error, Result};
use crate::flag::{Flag, Matches};

pub(crate) static COMMAND: Command = Command::new(
    "explore",
    "[OPTIONS] IMAGE\n\tberth image explore [OPTIONS] --input FILE [IMAGE]",
    "Look into the layers of an image: what each changes, and what is wasted",
    Arity::AtMost(1),
    run,
)
.flags(&[&[
    Flag::bool("ci", "Judge the image by rules, and exit with 1 when it breaks one"),
    Flag::string("ci-config", "File of rules (default \".dive-ci\" where there is one)"),
    Flag::string("highest-user-wasted-percent", "Waste in relation to the upper layers that is too much")
        .ty("ratio")
        .shows("0.1"),
    Flag::string("highest-wasted-bytes", "Waste that is too much").ty("bytes").shows("disabled"),
    Flag::string("input", "Saved image to read, instead of asking the daemon (\"-\" is standard input)")
        .short('i'),
    Flag::bool("json", "Print everything as JSON"),
    Flag::string("lowest-efficiency", "Least efficiency, from 0 to 1").ty("ratio").shows("0.9"),
    Flag::string("platform", "Only this platform of an image that has several (such as \"linux/amd64\")"),
]]);

fn run(context: &Context<'_>, matches: &Matches) -> Result<()> {
    let rules = ci::rules(matches)?;
    let platform = match matches.get("platform") {
        "" => None,
        text => Some(Platform::parse(text).map_err(Error::said)?),
    };
    let image = read(context, matches, platform)?;
    let json = matches.bool("json");
    if json {
        let written = explore::report::write(&image, Printer(context));
        written.map_err(Error::io("write standard output"))?;
    }
    if let Some(rules) = rules {
        return ci::judge(context, &image, &rules, json);
    }
    match (json, crate::explorer::fits()) {
        (true, _) => Ok(()),
        (false, true) => crate::explorer::show(&image),
        (false, false) => text::print(context, &image),
    }
}

fn read(context: &Context<'_>, matches: &Matches, platform: Option<Platform>) -> Result<Image> {
    let limits = Limits::default();
    let source = source::open(context, matches)?;
    let archive = explore::read(source, &limits).map_err(said);
    if io::stderr().is_terminal() {
        context.out.error_bytes(source::CLEAR);
    }
    // What the daemon sends has the names that it knows the image by.
    let from_file = !matches.get("input").is_empty();
    let name = matches.args.first().map(String::as_str).filter(|_| from_file);
    Image::choose(&archive?, &Choice { name, platform }, &limits).map_err(said)
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn said(error: explore::Error) -> Error {
    Error::said(error.to_string())
}

/// Standard output as a writer.
struct Printer<'a, 'b>(&'a Context<'b>);

impl Write for Printer<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.out.bytes(bytes).map_err(|error| match error {
            Error::Io { error, .. } => error,
            other => io::Error::other(other.to_string()),
        })?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
