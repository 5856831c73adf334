//! `berth container prune`

use api::Action;
use api::container::PruneResponse;

use crate::command::{Arity, Command};
use crate::flag::Flag;
use crate::format::units::human_size;
use crate::session::confirm;

pub(crate) static COMMAND: Command =
    Command::new("prune", "[OPTIONS]", "Remove all stopped containers", Arity::None, |context, matches| {
        confirm::unless_forced(context, matches, "WARNING! This will remove all stopped containers.")?;
        let filters = crate::opts::filter::encode(&matches.all("filter"));
        let pruned: PruneResponse =
            context.client()?.call(Action::ContainerPrune, "").given("filters", &filters).fetch()?;
        if !pruned.containers_deleted.is_empty() {
            context.out.line("Deleted Containers:")?;
            for id in &pruned.containers_deleted {
                context.out.line(id)?;
            }
            context.out.line("")?;
        }
        let size = i64::try_from(pruned.space_reclaimed).unwrap_or(i64::MAX);
        context.out.line(&format!("Total reclaimed space: {}", human_size(size)))
    })
    .flags(&[&[Flag::filter(), Flag::bool("force", "Do not ask").short('f')]]);
