//! `berth pause`

use api::Action;

use crate::command::{Arity, Command};

pub(crate) static COMMAND: Command = Command::new(
    "pause",
    "CONTAINER [CONTAINER...]",
    "Freeze all processes of one or more containers",
    Arity::AtLeast(1),
    |context, matches| {
        context.each(&matches.args, |client, name| client.call(Action::ContainerPause, name).done())
    },
)
.paths(&["container pause", "pause"]);
