//! `berth tag`

use api::Action;

use crate::command::{Arity, Command};

pub(crate) static COMMAND: Command = Command::new(
    "tag",
    "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
    "Give an image another name",
    Arity::Exactly(2),
    |context, matches| {
        let target = matches.arg(1);
        let (repository, tag) = match target.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => (repository, tag),
            _ => (target, "latest"),
        };
        context
            .client()?
            .call(Action::ImageTag, matches.arg(0))
            .query("repo", repository)
            .query("tag", tag)
            .done()
    },
)
.paths(&["image tag", "tag"]);
