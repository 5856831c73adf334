//! `berth volume inspect`

use api::Action;

use crate::command::object::inspect_all;
use crate::command::{Arity, Command};
use crate::flag::Flag;

pub(crate) static COMMAND: Command = Command::new(
    "inspect",
    "[OPTIONS] VOLUME [VOLUME...]",
    "Show everything about one or more volumes",
    Arity::AtLeast(1),
    |context, matches| {
        inspect_all(context, matches.get("format"), &matches.args, |client, name| {
            client.call(Action::VolumeInspect, name).fetch()
        })
    },
)
.flags(&[&[Flag::format_object()]]);
