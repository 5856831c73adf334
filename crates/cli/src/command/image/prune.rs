//! `berth image prune`

use api::Action;
use api::image::PruneResponse;

use super::rm::lines;
use crate::command::{Arity, Command};
use crate::flag::Flag;
use crate::format::units::human_size;
use crate::opts::filter;
use crate::session::confirm;

pub(crate) static COMMAND: Command =
    Command::new("prune", "[OPTIONS]", "Remove images that nothing uses", Arity::None, |context, matches| {
        let all = matches.bool("all");
        let warning = if all {
            "WARNING! This will remove all images without at least one container associated to them."
        } else {
            "WARNING! This will remove all dangling images."
        };
        confirm::unless_forced(context, matches, warning)?;
        let dangling = format!("dangling={}", !all);
        let mut filters = matches.all("filter");
        filters.push(&dangling);
        let pruned: PruneResponse = context
            .client()?
            .call(Action::ImagePrune, "")
            .query("filters", &filter::encode(&filters))
            .fetch()?;
        if !pruned.images_deleted.is_empty() {
            context.out.text(&format!("Deleted Images:\n{}\n", heads(&lines(&pruned.images_deleted))))?;
        }
        let size = i64::try_from(pruned.space_reclaimed).unwrap_or(i64::MAX);
        context.out.line(&format!("Total reclaimed space: {}", human_size(size)))
    })
    .flags(&[&[
        Flag::bool("all", "Remove all images without a container, not only those without a name").short('a'),
        Flag::filter(),
        Flag::bool("force", "Do not ask").short('f'),
    ]]);

/// Here the words are in lower case.
fn heads(lines: &str) -> String {
    lines.replace("Untagged: ", "untagged: ").replace("Deleted: ", "deleted: ")
}
