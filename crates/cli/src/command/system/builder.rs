//! `berth builder …`

use crate::command::pruning::{BUILD_CACHE, DRY_RUN, Pruning};
use crate::command::{Arity, Command, Group, image};
use crate::error::Error;
use crate::flag::Flag;
use crate::flag::check::parse_bytes;

/// The noun.
pub(crate) static GROUP: Group = Group {
    name: "builder",
    about: "Manage builds",
    commands: &[&image::build::COMMAND, &DU, &HISTORY, &PRUNE],
};

/// The same, by the name that Docker's plug-in has.
pub(crate) static BUILDX: Group = Group {
    name: "buildx",
    about: "Manage builds",
    commands: &[&image::build::COMMAND, &DU, &HISTORY, &PRUNE],
};

static HISTORY: Command = Command::new(
    "history",
    "[OPTIONS] [ls | inspect [BUILD] | logs [BUILD] | rm BUILD...]",
    "List the builds that were, tell of one, or forget some",
    Arity::Any,
    crate::build::history,
)
.flags(&[&[
    Flag::bool("all", "Forget all builds (rm)").short('a'),
    Flag::list("filter", "Show only builds that meet these conditions (\"status=error\", \"duration>30s\")"),
    Flag::format(),
    Flag::bool("no-trunc", "Don't shorten what is long (ls)"),
    Flag::string("progress", "How logs are shown (\"plain\", \"rawjson\")").default("auto"),
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
        let mut more = vec![("all", if matches.bool("all") { "1".to_owned() } else { String::new() })];
        for name in SPACES {
            if let Some(text) = matches.given(name) {
                more.push((name, parse_bytes(text).map_err(Error::Flag)?.to_string()));
            }
        }
        pruning.kind_with(&BUILD_CACHE, &matches.all("filter"), &more)?;
        pruning.end()
    })
    .flags(&[&[
        Flag::bool("all", "Remove all of it, also what images have and the builder's own").short('a'),
        DRY_RUN,
        Flag::filter(),
        Flag::bool("force", "Do not ask").short('f'),
        Flag::bytes("keep-storage", "Bytes that may stay (as --reserved-space)"),
        Flag::bytes("max-used-space", "Bytes that the cache may have at most"),
        Flag::bytes("min-free-space", "Bytes of the disk that the cache leaves free"),
        Flag::bytes("reserved-space", "Bytes that the cache may always have"),
    ]]);

/// How much may stay.
const SPACES: [&str; 4] = ["keep-storage", "reserved-space", "max-used-space", "min-free-space"];

static DU: Command = Command::new(
    "du",
    "[OPTIONS]",
    "Show what the build cache takes on the disk",
    Arity::None,
    crate::build::du,
)
.flags(&[&[
    Flag::filter(),
    Flag::format(),
    Flag::bool("verbose", "Show everything that is known of each record"),
]]);
