//! `berth push`

use api::Action;
use serde_json::Value;

use super::pull::named;
use crate::command::{Arity, Command, Context};
use crate::error::Result;
use crate::flag::{Flag, Matches};
use crate::login;
use crate::opts::container::process::refuse_content_trust;
use crate::session::progress::{self, Target};

pub(crate) static COMMAND: Command = Command::new(
    "push",
    "[OPTIONS] NAME[:TAG]",
    "Upload an image to a registry",
    Arity::Exactly(1),
    run,
)
.paths(&["image push", "push"])
.flags(&[&[
    Flag::bool("all-tags", "Push all tags of the repository").short('a'),
    Flag::bool("disable-content-trust", "Sign nothing (default true)").hidden(),
    Flag::string(
        "platform",
        "Push only this platform of an image that has several (such as \"linux/amd64\"), as an image of one platform",
    ),
    Flag::bool("quiet", "Show no progress").short('q'),
]]);

fn run(context: &Context<'_>, matches: &Matches) -> Result<()> {
    refuse_content_trust(matches)?;
    let (all_tags, quiet) = (matches.bool("all-tags"), matches.bool("quiet"));
    let reference = named(context, matches.arg(0), all_tags, quiet)?;
    let (_, incoming) = context
        .client()?
        .call(Action::ImagePush, &reference.name())
        .given("tag", reference.tag().unwrap_or_default())
        .given("platform", &super::platform_json(matches.get("platform")))
        .header(login::header_for(&context.choice.config_dir, &reference)?)
        .open()?;
    let mut notes = Vec::new();
    progress::show_with(context.out, incoming, Target::Output, quiet, |aux| {
        notes.extend(note(aux));
        Ok(())
    })?;
    for note in notes {
        context.out.error_line(&note);
    }
    if quiet { context.out.line(&reference.to_string()) } else { Ok(()) }
}

/// What the daemon did other than asked, and why.
fn note(aux: &Value) -> Option<String> {
    let instead = aux.get("manifestPushedInsteadOfIndex")?.as_bool()?;
    let digest = |key: &str| Some(aux.get(key)?.get("digest")?.as_str()?.to_owned());
    let (original, selected) = (digest("originalIndex")?, digest("selectedManifest")?);
    instead.then(|| {
        format!(
            "Info -> Not all multiplatform-content is present and only the available single-platform image was pushed\n\
             {original} -> {selected}"
        )
    })
}
