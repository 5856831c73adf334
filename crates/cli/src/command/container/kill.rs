//! `berth kill`

use api::Action;

use crate::command::{Arity, Command};
use crate::flag::Flag;

pub(crate) static COMMAND: Command = Command::new(
    "kill",
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Kill one or more running containers, or send them a signal",
    Arity::AtLeast(1),
    |context, matches| {
        context.each(&matches.args, |client, name| {
            client.call(Action::ContainerKill, name).given("signal", matches.get("signal")).done()
        })
    },
)
.paths(&["container kill", "kill"])
.flags(&[&[Flag::string("signal", "Signal to send (default KILL)").short('s')]]);
