//! `berth network inspect`

use api::Action;

use crate::command::object::inspect_all;
use crate::command::{Arity, Command};
use crate::flag::Flag;

pub(crate) static COMMAND: Command = Command::new(
    "inspect",
    "[OPTIONS] NETWORK [NETWORK...]",
    "Show everything about one or more networks",
    Arity::AtLeast(1),
    |context, matches| {
        inspect_all(context, matches.get("format"), &matches.args, |client, name| {
            client.call(Action::NetworkInspect, name).switch("verbose", matches.bool("verbose")).fetch()
        })
    },
)
.flags(&[&[Flag::format_object(), Flag::bool("verbose", "Include what helps to find faults").short('v')]]);
