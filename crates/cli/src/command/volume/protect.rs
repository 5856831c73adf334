//! `berth volume protect` and `unprotect`: Berth's own.

use api::Action;

use crate::command::{Arity, Command};

pub(crate) static PROTECT: Command = Command::new(
    "protect",
    "VOLUME [VOLUME...]",
    "Keep volumes from being removed, whatever removes them",
    Arity::AtLeast(1),
    |context, matches| {
        context.each(&matches.args, |client, name| client.call(Action::VolumeProtect, name).done())
    },
);

pub(crate) static UNPROTECT: Command = Command::new(
    "unprotect",
    "VOLUME [VOLUME...]",
    "Let protected volumes be removed again",
    Arity::AtLeast(1),
    |context, matches| {
        context.each(&matches.args, |client, name| client.call(Action::VolumeUnprotect, name).done())
    },
);
