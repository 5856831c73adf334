//! `berth commit`

use api::Action;
use api::image::IdResponse;

use crate::command::{Arity, Command, Context};
use crate::error::Result;
use crate::flag::{Flag, Matches};

pub(crate) static COMMAND: Command = Command::new(
    "commit",
    "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
    "Make an image of a container's changes",
    Arity::Range(1, 2),
    run,
)
.paths(&["container commit", "commit"])
.flags(&[&[
    Flag::string("author", "Who made the image (such as \"John Hannibal Smith <hannibal@a-team.com>\")")
        .short('a'),
    Flag::list("change", "Apply a Dockerfile instruction to the image").short('c'),
    Flag::string("message", "Note in the image's history").short('m'),
    Flag::bool("no-pause", "Let the container run on meanwhile"),
    Flag::bool("pause", "Freeze the container meanwhile").short('p').default("true").hidden(),
]]);

fn run(context: &Context<'_>, matches: &Matches) -> Result<()> {
    let pause = matches.bool("pause") && !matches.bool("no-pause");
    let (repository, tag) = name(matches.arg(1));
    let mut request = context
        .client()?
        .call(Action::ImageCommit, "")
        .query("container", matches.arg(0))
        .query("repo", repository)
        .query("tag", tag)
        .query("comment", matches.get("message"))
        .query("author", matches.get("author"));
    for change in matches.all("change") {
        request = request.query("changes", change);
    }
    if !pause {
        request = request.query("pause", "0");
    }
    let made: IdResponse = request.fetch()?;
    context.out.line(&made.id)
}

/// Repository and tag; a colon before a slash belongs to a port.
fn name(text: &str) -> (&str, &str) {
    match text.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (text, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(name("a/b:1"), ("a/b", "1"));
        assert_eq!(name("localhost:5000/a"), ("localhost:5000/a", ""));
        assert_eq!(name(""), ("", ""));
    }
}
