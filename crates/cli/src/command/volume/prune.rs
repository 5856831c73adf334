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
        let warning = format!("WARNING! This will remove {which} not used by at least one container.");
        confirm::unless_forced(context, matches, &warning)?;
        let mut filters = matches.all("filter");
        if all {
            filters.push("all=true");
        }
        let pruned: PruneResponse = context
            .client()?
            .call(Action::VolumePrune, "")
            .given("filters", &filter::encode(&filters))
            .fetch()?;
        if !pruned.volumes_deleted.is_empty() {
            context.out.line("Deleted Volumes:")?;
            pruned.volumes_deleted.iter().try_for_each(|name| context.out.line(name))?;
            context.out.line("")?;
        }
        let size = i64::try_from(pruned.space_reclaimed).unwrap_or(i64::MAX);
        context.out.line(&format!("Total reclaimed space: {}", human_size(size)))
    },
)
.flags(&[&[
    Flag::bool("all", "Remove all unused volumes, not only anonymous ones").short('a'),
    Flag::filter(),
    Flag::bool("force", "Do not ask").short('f'),
]]);
