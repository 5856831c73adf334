//! `berth container prune`

use crate::command::pruning::{CONTAINERS, DRY_RUN, Pruning};
use crate::command::{Arity, Command};
use crate::flag::Flag;

pub(crate) static COMMAND: Command =
    Command::new("prune", "[OPTIONS]", "Remove all stopped containers", Arity::None, |context, matches| {
        let warning = "WARNING! This will remove all stopped containers.";
        let mut pruning = Pruning::begin(context, matches, warning)?;
        pruning.kind(&CONTAINERS, &matches.all("filter"))?;
        pruning.end()
    })
    .flags(&[&[DRY_RUN, Flag::filter(), Flag::bool("force", "Do not ask").short('f')]]);
