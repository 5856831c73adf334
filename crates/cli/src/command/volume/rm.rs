//! `berth volume rm`

use api::Action;

use crate::command::{Arity, Command};
use crate::flag::Flag;

pub(crate) static COMMAND: Command = Command::new(
    "rm",
    "[OPTIONS] VOLUME [VOLUME...]",
    "Remove one or more volumes",
    Arity::AtLeast(1),
    |context, matches| {
        let force = matches.bool("force");
        context.each(&matches.args, |client, name| {
            client.call(Action::VolumeDelete, name).switch("force", force).done()
        })
    },
)
.aliases(&["remove"])
.paths(&["volume rm", "volume remove"])
.flags(&[&[Flag::bool("force", "No error for a volume that does not exist").short('f')]]);
