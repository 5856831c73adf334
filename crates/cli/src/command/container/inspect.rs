//! `berth container inspect`

use api::Action;

use crate::command::object::inspect_all;
use crate::command::{Arity, Command};
use crate::flag::Flag;

pub(crate) static COMMAND: Command = Command::new(
    "inspect",
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Show everything about one or more containers",
    Arity::AtLeast(1),
    |context, matches| {
        inspect_all(context, matches.get("format"), &matches.args, |client, name| {
            client.call(Action::ContainerInspect, name).switch("size", matches.bool("size")).fetch()
        })
    },
)
.flags(&[&[
    Flag::format_object(),
    Flag::bool("size", "Include the sizes of the container's files").short('s'),
]]);
