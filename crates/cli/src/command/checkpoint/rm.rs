//! `berth checkpoint rm`

use api::Action;

use crate::command::{Arity, Command};
use crate::flag::Flag;

pub(crate) static COMMAND: Command = Command::new(
    "rm",
    "[OPTIONS] CONTAINER CHECKPOINT",
    "Remove a checkpoint",
    Arity::Exactly(2),
    |context, matches| {
        let params = [matches.arg(0), matches.arg(1)];
        let call = context.client()?.call_with(Action::CheckpointDelete, &params);
        call.given("dir", matches.get("checkpoint-dir")).done()
    },
)
.aliases(&["remove"])
.paths(&["checkpoint rm", "checkpoint remove"])
.flags(&[&[Flag::string("checkpoint-dir", "Folder of the checkpoint, instead of the container's own")]]);
