//! `berth builder …`

use crate::command::pruning::{BUILD_CACHE, DRY_RUN, Pruning};
use crate::command::{Arity, Command, Group, image};
use crate::flag::Flag;

/// The noun.
pub(crate) static GROUP: Group =
    Group { name: "builder", about: "Manage builds", commands: &[&image::build::COMMAND, &HISTORY, &PRUNE] };

/// The same, by the name that Docker's plug-in has.
pub(crate) static BUILDX: Group =
    Group { name: "buildx", about: "Manage builds", commands: &[&image::build::COMMAND, &HISTORY, &PRUNE] };

static HISTORY: Command = Command::new(
    "history",
    "[OPTIONS] [ls | rm BUILD...]",
    "List the builds that were, or forget some",
    Arity::Any,
    crate::build::history,
)
.flags(&[&[
    Flag::bool("all", "Forget all builds").short('a'),
    Flag::bool("quiet", "Print the builds' ids only").short('q'),
]]);

static PRUNE: Command =
    Command::new("prune", "[OPTIONS]", "Remove the build cache", Arity::None, |context, matches| {
        let warning = if matches.bool("all") {
            "WARNING! This will remove all build cache."
        } else {
            "WARNING! This will remove all dangling build cache."
        };
        let mut pruning = Pruning::begin(context, matches, warning)?;
        pruning.kind(&BUILD_CACHE, &matches.all("filter"))?;
        pruning.end()
    })
    .flags(&[&[
        Flag::bool("all", "Remove all of it, not only what nothing refers to").short('a'),
        DRY_RUN,
        Flag::filter(),
        Flag::bool("force", "Do not ask").short('f'),
        Flag::bytes("keep-storage", "Bytes that may stay"),
    ]]);
