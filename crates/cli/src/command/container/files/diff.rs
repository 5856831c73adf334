//! `berth diff`

use api::Action;
use api::container::ChangeItem;

use crate::command::{Arity, Command};

pub(crate) static COMMAND: Command = Command::new(
    "diff",
    "CONTAINER",
    "List what changed in a container's file system",
    Arity::Exactly(1),
    |context, matches| {
        let changes: Option<Vec<ChangeItem>> =
            context.client()?.call(Action::ContainerChanges, matches.arg(0)).fetch()?;
        for change in changes.unwrap_or_default() {
            let kind = match change.kind {
                0 => 'C',
                1 => 'A',
                _ => 'D',
            };
            context.out.line(&format!("{kind} {}", change.path))?;
        }
        Ok(())
    },
)
.paths(&["container diff", "diff"]);
