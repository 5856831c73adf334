//! `berth checkpoint ls`

use api::Action;
use api::container::Checkpoint;

use crate::command::{Arity, Command};
use crate::flag::Flag;
use crate::format::list::{self, Columns, Row};

pub(crate) static COMMAND: Command = Command::new(
    "ls",
    "[OPTIONS] CONTAINER",
    "List a container's checkpoints",
    Arity::Exactly(1),
    |context, matches| {
        let call = context.client()?.call(Action::CheckpointList, matches.arg(0));
        let list: Vec<Checkpoint> = call.given("dir", matches.get("checkpoint-dir")).fetch()?;
        let row = |one: Checkpoint| Row { fields: vec![("Name", one.name)], ..Row::default() };
        let rows: Vec<Row> = list.into_iter().map(row).collect();
        list::print(context.out, "table", &COLUMNS, &rows)
    },
)
.aliases(&["list"])
.paths(&["checkpoint ls", "checkpoint list"])
.flags(&[&[Flag::string("checkpoint-dir", "Folder of the checkpoints, instead of the container's own")]]);

const COLUMNS: Columns = Columns {
    headers: &[("Name", "CHECKPOINT NAME")],
    default: "{{.Name}}",
    kind: "*checkpoint.checkpointContext",
};
