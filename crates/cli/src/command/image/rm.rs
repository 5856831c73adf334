//! `berth rmi`

use api::Action;
use api::image::DeleteItem;

use crate::command::{Arity, Command};
use crate::flag::Flag;

pub(crate) static COMMAND: Command = Command::new(
    "rm",
    "[OPTIONS] IMAGE [IMAGE...]",
    "Remove one or more images",
    Arity::AtLeast(1),
    |context, matches| {
        let force = matches.bool("force");
        let platforms: Vec<String> = matches
            .all("platform")
            .iter()
            .flat_map(|list| list.split(','))
            .map(super::platform_json)
            .collect();
        context.each_saying(&matches.args, |client, name| {
            let mut request = client
                .call(Action::ImageDelete, name)
                .switch("force", force)
                .switch("noprune", matches.bool("no-prune"));
            for platform in &platforms {
                request = request.query("platforms", platform);
            }
            match request.fetch::<Vec<DeleteItem>>() {
                Err(error) if force && error.is_not_found() => {
                    context.out.error_line(&error.to_string());
                    Ok(String::new())
                }
                other => other.map(|items| lines(&items)),
            }
        })
    },
)
.aliases(&["remove"])
.paths(&["image rm", "image remove", "rmi"])
.flags(&[&[
    Flag::bool("force", "Remove it even if it has other names or stopped containers").short('f'),
    Flag::bool("no-prune", "Keep parents that have no name"),
    Flag::list("platform", "Only this platform of an image that has several (such as \"linux/amd64\")")
        .ty("strings"),
]]);

/// What was done, one line each.
pub(crate) fn lines(items: &[DeleteItem]) -> String {
    items
        .iter()
        .map(|item| {
            if item.deleted.is_empty() {
                format!("Untagged: {}\n", item.untagged)
            } else {
                format!("Deleted: {}\n", item.deleted)
            }
        })
        .collect()
}
