//! `berth import`

use std::fs::File;
use std::io::{self, Read};

use api::Action;

use crate::command::{Arity, Command, Context};
use crate::error::{Error, Result, reason};
use crate::flag::{Flag, Matches};
use crate::session::progress::{self, Target};

pub(crate) static COMMAND: Command = Command::new(
    "import",
    "[OPTIONS] file|URL|- [REPOSITORY[:TAG]]",
    "Make an image of a file system in a tar archive",
    Arity::AtLeast(1),
    run,
)
.paths(&["image import", "import"])
.flags(&[&[
    Flag::list("change", "Apply a Dockerfile instruction to the image").short('c'),
    Flag::string("message", "Note in the image's history").short('m'),
    Flag::string("platform", "Platform of the image"),
]]);

fn run(context: &Context<'_>, matches: &Matches) -> Result<()> {
    let source = matches.arg(0);
    if let Some(name) = matches.args.get(1).filter(|name| !name.is_empty()) {
        oci::Reference::parse(name).map_err(|error| Error::said(error.to_string()))?;
    }
    let remote = source.starts_with("http://") || source.starts_with("https://");
    let mut body: Box<dyn Read> = if source == "-" {
        Box::new(io::stdin().lock())
    } else if remote {
        Box::new(io::empty())
    } else {
        let file =
            File::open(source).map_err(|error| Error::said(format!("open {source}: {}", reason(&error))))?;
        Box::new(file)
    };
    let mut request = context
        .client()?
        .call(Action::ImageCreate, "")
        .query("fromSrc", if remote { source } else { "-" })
        .given("repo", matches.arg(1))
        .given("message", matches.get("message"))
        .given("platform", matches.get("platform"));
    for change in matches.all("change") {
        request = request.query("changes", change);
    }
    if !remote {
        request = request.stream(&mut *body, "application/x-tar");
    }
    let (_, incoming) = request.open()?;
    progress::show(context.out, incoming, Target::Output, false)
}
