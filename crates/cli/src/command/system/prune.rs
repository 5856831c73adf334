//! `berth system prune`

use crate::command::pruning::{BUILD_CACHE, CONTAINERS, DRY_RUN, IMAGES, NETWORKS, Pruning, VOLUMES};
use crate::command::{Arity, Command, Context};
use crate::error::{Error, Result};
use crate::flag::{Flag, Matches};

pub(crate) static COMMAND: Command =
    Command::new("prune", "[OPTIONS]", "Remove what nothing uses", Arity::None, run).flags(&[&[
        Flag::bool("all", "Remove all images without a container, not only those without a name").short('a'),
        DRY_RUN,
        Flag::filter(),
        Flag::bool("force", "Do not ask").short('f'),
        Flag::bool("volumes", "Remove anonymous volumes too"),
    ]]);

fn run(context: &Context<'_>, matches: &Matches) -> Result<()> {
    let filters = matches.all("filter");
    let volumes = matches.bool("volumes");
    // an age of a volume is unknown to the API
    if volumes && filters.iter().any(|filter| filter.starts_with("until=")) {
        return Err(Error::said("ERROR: The \"until\" filter is not supported with \"--volumes\""));
    }
    let mut pruning = Pruning::begin(context, matches, &warning(matches, &filters))?;
    let dangling = format!("dangling={}", !matches.bool("all"));
    pruning.kind(&CONTAINERS, &filters)?;
    if volumes {
        pruning.kind(&VOLUMES, &filters)?;
    }
    pruning.kind(&NETWORKS, &filters)?;
    pruning.kind(&IMAGES, &[&filters[..], &[&dangling]].concat())?;
    let all = if matches.bool("all") { "1" } else { "" };
    pruning.kind_with(&BUILD_CACHE, &filters, &[("all", all.to_owned())])?;
    pruning.end()
}

fn warning(matches: &Matches, filters: &[&str]) -> String {
    let (images, cache) = if matches.bool("all") {
        ("all images without at least one container associated to them", "all build cache")
    } else {
        ("all dangling images", "unused build cache")
    };
    let mut what = vec!["all stopped containers", "all networks not used by at least one container"];
    if matches.bool("volumes") {
        what.push("all anonymous volumes not used by at least one container");
    }
    what.extend([images, cache]);
    let mut text = String::from("WARNING! This will remove:\n");
    what.iter().for_each(|line| text.extend(["  - ", line, "\n"]));
    if !filters.is_empty() {
        let mut filters = filters.to_vec();
        filters.sort_unstable();
        text.push_str("\n  Items to be pruned will be filtered with:\n");
        filters.iter().for_each(|line| text.extend(["  - ", line, "\n"]));
    }
    text
}
