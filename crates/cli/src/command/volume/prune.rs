//! `berth volume prune`

use crate::command::pruning::{DRY_RUN, Pruning, VOLUMES};
use crate::command::{Arity, Command};
use crate::flag::Flag;

pub(crate) static COMMAND: Command = Command::new(
    "prune",
    "[OPTIONS]",
    "Remove local volumes that nothing uses",
    Arity::None,
    |context, matches| {
        let all = matches.bool("all");
        let which = if all { "all local volumes" } else { "anonymous local volumes" };
        let warning = format!("WARNING! This will remove {which} not used by at least one container.");
        let mut pruning = Pruning::begin(context, matches, &warning)?;
        let mut filters = matches.all("filter");
        if all {
            filters.push("all=true");
        }
        pruning.kind(&VOLUMES, &filters)?;
        pruning.end()
    },
)
.flags(&[&[
    Flag::bool("all", "Remove all unused volumes, not only anonymous ones").short('a'),
    DRY_RUN,
    Flag::filter(),
    Flag::bool("force", "Do not ask").short('f'),
]]);
