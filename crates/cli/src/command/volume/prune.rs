//! `berth volume prune`

use api::Action;
use api::volume::PruneResponse;

use crate::command::{Arity, Command};
use crate::flag::Flag;
use crate::format::units::human_size;
use crate::opts::filter;
use crate::session::confirm;

pub(crate) static COMMAND: Command = Command::new(
    "prune",
    "[OPTIONS]",
    "Remove local volumes that nothing uses",
    Arity::None,
    |context, matches| {
        let all = matches.bool("all");
        let which = if all { "all local volumes" } else { "anonymous local volumes" };
        let only_tell = matches.bool("dry-run");
        if !only_tell {
            let warning = format!("WARNING! This will remove {which} not used by at least one container.");
            confirm::unless_forced(context, matches, &warning)?;
        }
        let mut filters = matches.all("filter");
        if all {
            filters.push("all=true");
        }
        let pruned: PruneResponse = context
            .client()?
            .call(Action::VolumePrune, "")
            .given("filters", &filter::encode(&filters))
            .switch("dry-run", only_tell)
            .fetch()?;
        if !pruned.volumes_deleted.is_empty() {
            context.out.line(if only_tell { "Would delete Volumes:" } else { "Deleted Volumes:" })?;
            pruned.volumes_deleted.iter().try_for_each(|name| context.out.line(name))?;
            context.out.line("")?;
        }
        let size = i64::try_from(pruned.space_reclaimed).unwrap_or(i64::MAX);
        let total = if only_tell { "Total reclaimable space" } else { "Total reclaimed space" };
        context.out.line(&format!("{total}: {}", human_size(size)))
    },
)
.flags(&[&[
    Flag::bool("all", "Remove all unused volumes, not only anonymous ones").short('a'),
    Flag::bool("dry-run", "Only tell what would be removed"),
    Flag::filter(),
    Flag::bool("force", "Do not ask").short('f'),
]]);
