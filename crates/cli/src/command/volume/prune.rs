//! `berth volume prune`

use crate::command::pruning::{DRY_RUN, Pruning, VOLUMES};
use crate::command::{Arity, Command};
use crate::error::Error;
use crate::flag::Flag;

pub(crate) static COMMAND: Command = Command::new(
    "prune",
    "[OPTIONS]",
    "Remove local volumes that nothing uses",
    Arity::None,
    |context, matches| {
        let all = matches.bool("all");
        // Before 1.42 the daemon removes named ones as well, and cannot be asked not to.
        let version = context.client()?.pinned_version();
        let old = version.is_some_and(before_1_42);
        if all && old {
            let version = version.unwrap_or_default();
            return Err(Error::said(format!(
                "\"--all\" requires API version 1.42, but the Docker daemon API version is {version}"
            )));
        }
        let which = if all || old { "all local volumes" } else { "anonymous local volumes" };
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

fn before_1_42(version: &str) -> bool {
    version.strip_prefix("1.").and_then(|minor| minor.parse::<u16>().ok()).is_some_and(|minor| minor < 42)
}
