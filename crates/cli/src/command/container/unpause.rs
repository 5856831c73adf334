//! `berth unpause`

use api::Action;

use crate::command::{Arity, Command};

pub(crate) static COMMAND: Command = Command::new(
    "unpause",
    "CONTAINER [CONTAINER...]",
    "Let the processes of paused containers go on",
    Arity::AtLeast(1),
    |context, matches| {
        context.each(&matches.args, |client, name| client.call(Action::ContainerUnpause, name).done())
    },
)
.paths(&["container unpause", "unpause"]);
