//! `berth pull`, and what `run` does when an image is absent.

use api::Action;

use crate::command::{Arity, Command, Context};
use crate::error::{Error, Result};
use crate::flag::Flag;
use crate::opts::container::process::refuse_content_trust;
use crate::session::progress::{self, Target};

pub(crate) static COMMAND: Command = Command::new(
    "pull",
    "[OPTIONS] NAME[:TAG|@DIGEST]",
    "Download an image from a registry",
    Arity::Exactly(1),
    |context, matches| {
        if matches.bool("all-tags") {
            return Err(Error::said("--all-tags is not supported yet"));
        }
        refuse_content_trust(matches)?;
        let quiet = matches.bool("quiet");
        let image = matches.arg(0);
        let (_, tag) = split(image);
        if tag == "latest" && !quiet && !image.ends_with(":latest") {
            context.out.line("Using default tag: latest")?;
        }
        pull(context, image, matches.get("platform"), Target::Output, quiet)?;
        context.out.line(image)
    },
)
.paths(&["image pull", "pull"])
.flags(&[&[
    Flag::bool("all-tags", "Download all images of the repository").short('a'),
    Flag::bool("disable-content-trust", "Skip the verification of signatures (default true)").hidden(),
    Flag::string("platform", "Choose this platform of an image that has several"),
    Flag::bool("quiet", "Show no progress").short('q'),
]]);

/// Asks the daemon to pull, and shows how it goes.
pub(crate) fn pull(
    context: &Context<'_>,
    image: &str,
    platform: &str,
    target: Target,
    quiet: bool,
) -> Result<()> {
    let (name, tag) = split(image);
    let (_, incoming) = context
        .client()?
        .call(Action::ImageCreate, "")
        .query("fromImage", name)
        .query("tag", tag)
        .given("platform", platform)
        .open()?;
    progress::show(context.out, incoming, target, quiet)
}

/// Name, and tag or digest.
fn split(image: &str) -> (&str, &str) {
    if let Some((name, digest)) = image.split_once('@') {
        return (name, digest);
    }
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (image, "latest"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_tags() {
        assert_eq!(split("h:5000/a"), ("h:5000/a", "latest"));
        assert_eq!(split("a:1"), ("a", "1"));
        assert_eq!(split("a@sha256:x"), ("a", "sha256:x"));
    }
}
