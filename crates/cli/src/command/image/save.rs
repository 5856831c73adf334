//! `berth save`

use api::Action;

use crate::command::{Arity, Command};
use crate::error::Error;
use crate::flag::Flag;
use crate::session::archive;

pub(crate) static COMMAND: Command = Command::new(
    "save",
    "[OPTIONS] IMAGE [IMAGE...]",
    "Write one or more images as a tar archive",
    Arity::AtLeast(1),
    |context, matches| {
        let output = matches.get("output");
        if output.is_empty() && context.out.is_terminal() {
            return Err(Error::said("cowardly refusing to save to a terminal. Use the -o flag or redirect"));
        }
        archive::check_target(output)
            .map_err(|error| Error::said(format!("failed to save image: {error}")))?;
        let mut request = context.client()?.call(Action::ImageGetAll, "");
        for name in &matches.args {
            request = request.query("names", name);
        }
        let platform = super::platform_json(matches.get("platform"));
        let (_, incoming) = request.given("platform", &platform).open()?;
        archive::write(incoming, output)
    },
)
.paths(&["image save", "save"])
.flags(&[&[
    Flag::string("output", "File to write to, instead of standard output").short('o'),
    Flag::string("platform", "Only this platform of an image that has several (such as \"linux/amd64\")"),
]]);
