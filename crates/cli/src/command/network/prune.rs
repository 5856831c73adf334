//! `berth network prune`

use api::Action;
use api::network::PruneResponse;

use crate::command::{Arity, Command};
use crate::flag::Flag;
use crate::opts::filter;
use crate::session::confirm;

pub(crate) static COMMAND: Command = Command::new(
    "prune",
    "[OPTIONS]",
    "Remove networks that nothing uses",
    Arity::None,
    |context, matches| {
        let dry = matches.bool("dry-run");
        if !dry {
            let warning = "WARNING! This will remove all custom networks not used by at least one container.";
            confirm::unless_forced(context, matches, warning)?;
        }
        let pruned: PruneResponse = context
            .client()?
            .call(Action::NetworkPrune, "")
            .given("filters", &filter::encode(&matches.all("filter")))
            .switch("dry-run", dry)
            .fetch()?;
        if pruned.networks_deleted.is_empty() {
            return Ok(());
        }
        context.out.line(if dry { "Networks that would be deleted:" } else { "Deleted Networks:" })?;
        pruned.networks_deleted.iter().try_for_each(|name| context.out.line(name))?;
        context.out.line("")
    },
)
.flags(&[&[
    Flag::bool("dry-run", "Only tell what would be removed"),
    Flag::filter(),
    Flag::bool("force", "Do not ask").short('f'),
]]);
