//! `berth network rm`

use api::Action;

use crate::command::{Arity, Command};
use crate::flag::Flag;

pub(crate) static COMMAND: Command = Command::new(
    "rm",
    "NETWORK [NETWORK...]",
    "Remove one or more networks",
    Arity::AtLeast(1),
    |context, matches| {
        context.each_saying(&matches.args, |client, name| {
            match client.call(Action::NetworkDelete, name).done() {
                Err(error) if matches.bool("force") && error.is_not_found() => Ok(String::new()),
                other => other.map(|()| format!("{name}\n")),
            }
        })
    },
)
.aliases(&["remove"])
.paths(&["network rm", "network remove"])
.flags(&[&[Flag::bool("force", "No error for a network that does not exist").short('f')]]);
