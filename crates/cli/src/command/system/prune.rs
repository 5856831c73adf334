//! `berth system prune`

use api::Action;
use serde_json::Value;

use crate::command::{Arity, Command, Context};
use crate::error::Result;
use crate::flag::{Flag, Matches};
use crate::format::units::human_size;
use crate::opts::filter;
use crate::session::confirm;

pub(crate) static COMMAND: Command =
    Command::new("prune", "[OPTIONS]", "Remove what nothing uses", Arity::None, run).flags(&[&[
        Flag::bool("all", "Remove all images without a container, not only those without a name").short('a'),
        Flag::filter(),
        Flag::bool("force", "Do not ask").short('f'),
        Flag::bool("volumes", "Remove anonymous volumes too"),
    ]]);

/// What is pruned: the request, the member of the answer, and the heading.
const KINDS: [(Action, &str, &str); 4] = [
    (Action::ContainerPrune, "ContainersDeleted", "Deleted Containers"),
    (Action::VolumePrune, "VolumesDeleted", "Deleted Volumes"),
    (Action::NetworkPrune, "NetworksDeleted", "Deleted Networks"),
    (Action::ImagePrune, "ImagesDeleted", "Deleted Images"),
];

fn run(context: &Context<'_>, matches: &Matches) -> Result<()> {
    let (all, volumes) = (matches.bool("all"), matches.bool("volumes"));
    let mut warning = String::from(
        "WARNING! This will remove:\n  - all stopped containers\n  - all networks not used by at least one container\n",
    );
    if volumes {
        warning.push_str("  - all anonymous volumes not used by at least one container\n");
    }
    warning.push_str(if all {
        "  - all images without at least one container associated to them\n"
    } else {
        "  - all dangling images\n"
    });
    confirm::unless_forced(context, matches, &warning)?;
    let dangling = format!("dangling={}", !all);
    let mut reclaimed = 0;
    for (action, member, heading) in KINDS {
        if action == Action::VolumePrune && !volumes {
            continue;
        }
        let mut filters = matches.all("filter");
        if action == Action::ImagePrune {
            filters.push(&dangling);
        }
        let answer: Value =
            context.client()?.call(action, "").given("filters", &filter::encode(&filters)).fetch()?;
        reclaimed += answer.get("SpaceReclaimed").and_then(Value::as_i64).unwrap_or(0);
        let deleted = answer.get(member).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        if !deleted.is_empty() {
            context.out.line(&format!("{heading}:"))?;
            deleted.iter().try_for_each(|one| context.out.line(&name(one)))?;
            context.out.line("")?;
        }
    }
    context.out.line(&format!("Total reclaimed space: {}", human_size(reclaimed)))
}

/// An id, or what happened to an image.
fn name(deleted: &Value) -> String {
    let member = |key: &str| deleted.get(key).and_then(Value::as_str);
    match (deleted.as_str(), member("Deleted"), member("Untagged")) {
        (Some(id), ..) => id.to_owned(),
        (_, Some(id), _) => format!("deleted: {id}"),
        (.., Some(name)) => format!("untagged: {name}"),
        _ => String::new(),
    }
}
