//! `berth tag`

use api::Action;

use oci::Reference;

use crate::command::{Arity, Command};
use crate::error::Error;

pub(crate) static COMMAND: Command = Command::new(
    "tag",
    "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
    "Give an image another name",
    Arity::Exactly(2),
    |context, matches| {
        let text = matches.arg(1);
        let target = Reference::parse(text).map_err(|error| {
            Error::said(format!("Error parsing reference: {text:?} is not a valid repository/tag: {error}"))
        })?;
        if target.digest().is_some() {
            return Err(Error::said("refusing to create a tag with a digest reference"));
        }
        let target = target.with_default_tag();
        context
            .client()?
            .call(Action::ImageTag, matches.arg(0))
            .query("repo", &target.familiar_name())
            .query("tag", target.tag().unwrap_or_default())
            .done()
    },
)
.paths(&["image tag", "tag"]);
