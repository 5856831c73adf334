//! `berth restart`

use api::Action;

use super::stop;
use crate::command::{Arity, Command};

pub(crate) static COMMAND: Command = Command::new(
    "restart",
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Restart one or more containers",
    Arity::AtLeast(1),
    |context, matches| stop::halt(context, matches, Action::ContainerRestart),
)
.paths(&["container restart", "restart"])
.flags(&[stop::FLAGS]);
