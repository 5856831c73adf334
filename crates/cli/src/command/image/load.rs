//! `berth load`

use std::fs::File;
use std::io::{self, IsTerminal, Read};

use api::Action;

use crate::command::{Arity, Command, Context};
use crate::error::{Error, Result, reason};
use crate::flag::{Flag, Matches};
use crate::session::progress::{self, Target};

pub(crate) static COMMAND: Command =
    Command::new("load", "[OPTIONS]", "Read images from a tar archive", Arity::None, run)
        .paths(&["image load", "load"])
        .flags(&[&[
            Flag::string("input", "File to read from, instead of standard input").short('i'),
            Flag::string(
                "platform",
                "Only this platform of an image that has several (such as \"linux/amd64\")",
            ),
            Flag::bool("quiet", "Show no progress").short('q'),
        ]]);

fn run(context: &Context<'_>, matches: &Matches) -> Result<()> {
    let input = matches.get("input");
    let mut source: Box<dyn Read> = if !input.is_empty() {
        let file =
            File::open(input).map_err(|error| Error::said(format!("open {input}: {}", reason(&error))))?;
        Box::new(file)
    } else if io::stdin().is_terminal() {
        return Err(Error::said("requested load from stdin, but stdin is empty"));
    } else {
        Box::new(io::stdin().lock())
    };
    let quiet = matches.bool("quiet") || !context.out.is_terminal();
    let (head, mut incoming) = context
        .client()?
        .call(Action::ImageLoad, "")
        .query("quiet", if quiet { "1" } else { "0" })
        .given("platform", &super::platform_json(matches.get("platform")))
        .stream(&mut *source, "application/x-tar")
        .open()?;
    if head.content_type.starts_with("application/json") || head.content_type.is_empty() {
        // "Loaded image: …" is the result, not progress: `--quiet` keeps it.
        return progress::show(context.out, incoming, Target::Output, false);
    }
    let mut text = Vec::new();
    incoming.read_to_end(&mut text).map_err(Error::io("read from the daemon"))?;
    context.out.bytes(&text)
}
