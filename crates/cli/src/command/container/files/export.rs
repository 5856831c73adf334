//! `berth export`

use api::Action;

use crate::command::{Arity, Command};
use crate::error::Error;
use crate::flag::Flag;
use crate::session::archive;

pub(crate) static COMMAND: Command = Command::new(
    "export",
    "[OPTIONS] CONTAINER",
    "Write a container's file system as a tar archive",
    Arity::Exactly(1),
    |context, matches| {
        let output = matches.get("output");
        if output.is_empty() && context.out.is_terminal() {
            return Err(Error::said("cowardly refusing to save to a terminal. Use the -o flag or redirect"));
        }
        archive::check_target(output)
            .map_err(|error| Error::said(format!("failed to export container: {error}")))?;
        let (_, incoming) = context.client()?.call(Action::ContainerExport, matches.arg(0)).open()?;
        archive::write(incoming, output)
    },
)
.paths(&["container export", "export"])
.flags(&[&[Flag::string("output", "File to write to, instead of standard output").short('o')]]);
