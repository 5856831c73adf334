//! `berth image prune`

use crate::command::pruning::{DRY_RUN, IMAGES, Pruning};
use crate::command::{Arity, Command};
use crate::flag::Flag;

pub(crate) static COMMAND: Command =
    Command::new("prune", "[OPTIONS]", "Remove images that nothing uses", Arity::None, |context, matches| {
        let all = matches.bool("all");
        let warning = if all {
            "WARNING! This will remove all images without at least one container associated to them."
        } else {
            "WARNING! This will remove all dangling images."
        };
        let mut pruning = Pruning::begin(context, matches, warning)?;
        let dangling = format!("dangling={}", !all);
        let mut filters = matches.all("filter");
        filters.push(&dangling);
        pruning.kind(&IMAGES, &filters)?;
        pruning.end()
    })
    .flags(&[&[
        Flag::bool("all", "Remove all images without a container, not only those without a name").short('a'),
        DRY_RUN,
        Flag::filter(),
        Flag::bool("force", "Do not ask").short('f'),
    ]]);
