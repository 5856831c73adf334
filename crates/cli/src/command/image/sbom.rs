//! `berth image sbom`

use api::Action;

use crate::command::{Arity, Command};
use crate::error::Error;
use crate::flag::Flag;
use crate::session::archive;

pub(crate) static COMMAND: Command = Command::new(
    "sbom",
    "[OPTIONS] IMAGE",
    "List the packages of an image as SPDX: the system's, and those of languages",
    Arity::Exactly(1),
    |context, matches| {
        let output = matches.get("output");
        archive::check_target(output)
            .map_err(|error| Error::said(format!("failed to write the list: {error}")))?;
        let platform = super::platform_json(matches.get("platform"));
        let request = context.client()?.call(Action::ImageSbom, matches.arg(0));
        let (_, incoming) = request.given("platform", &platform).open()?;
        archive::write(incoming, output)
    },
)
.paths(&["image sbom"])
.flags(&[&[
    Flag::string("output", "File to write to, instead of standard output").short('o'),
    Flag::string("platform", "Only this platform of an image that has several (such as \"linux/amd64\")"),
]]);
