//! `berth checkpoint create`

use api::Action;
use api::container::CheckpointRequest;

use crate::command::{Arity, Command};
use crate::flag::Flag;

pub(crate) static COMMAND: Command = Command::new(
    "create",
    "[OPTIONS] CONTAINER CHECKPOINT",
    "Checkpoint a running container",
    Arity::Exactly(2),
    |context, matches| {
        let request = CheckpointRequest {
            checkpoint_id: matches.arg(1).to_owned(),
            checkpoint_dir: matches.get("checkpoint-dir").to_owned(),
            exit: !matches.bool("leave-running"),
        };
        context.client()?.call(Action::CheckpointCreate, matches.arg(0)).json(&request)?.done()?;
        context.out.line(matches.arg(1))
    },
)
.flags(&[&[
    Flag::string("checkpoint-dir", "Folder of the checkpoint, instead of the container's own"),
    Flag::bool("leave-running", "Leave the container running"),
]]);
