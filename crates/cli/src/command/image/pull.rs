//! `berth pull`, and what `run` does when an image is absent.

use api::Action;
use oci::Reference;

use crate::command::{Arity, Command, Context};
use crate::error::{Error, Result};
use crate::flag::{Flag, Matches};
use crate::login;
use crate::opts::container::process::refuse_content_trust;
use crate::session::progress::{self, Target};

pub(crate) static COMMAND: Command = Command::new(
    "pull",
    "[OPTIONS] NAME[:TAG|@DIGEST]",
    "Download an image from a registry",
    Arity::Exactly(1),
    run,
)
.paths(&["image pull", "pull"])
.flags(&[&[
    Flag::bool("all-tags", "Download all images of the repository").short('a'),
    Flag::bool("disable-content-trust", "Skip the verification of signatures (default true)").hidden(),
    Flag::string("platform", "Choose this platform of an image that has several"),
    Flag::bool("quiet", "Show no progress").short('q'),
]]);

/// What is asked for.
struct Wanted<'a> {
    reference: &'a Reference,
    all_tags: bool,
    platform: &'a str,
}

fn run(context: &Context<'_>, matches: &Matches) -> Result<()> {
    refuse_content_trust(matches)?;
    let (all_tags, quiet) = (matches.bool("all-tags"), matches.bool("quiet"));
    let reference = named(context, matches.arg(0), all_tags, quiet)?;
    let wanted = Wanted { reference: &reference, all_tags, platform: matches.get("platform") };
    fetch(context, &wanted, Target::Output, quiet)?;
    context.out.line(&reference.to_string())
}

/// A reference for `pull` or `push`, with the tag that is meant when none is given.
pub(super) fn named(context: &Context<'_>, text: &str, all_tags: bool, quiet: bool) -> Result<Reference> {
    let reference = parse(text)?;
    match (all_tags, reference.is_name_only()) {
        (true, false) => Err(Error::said("tag can't be used with --all-tags/-a")),
        (false, true) => {
            if !quiet {
                context.out.line("Using default tag: latest")?;
            }
            Ok(reference.with_default_tag())
        }
        _ => Ok(reference),
    }
}

fn parse(text: &str) -> Result<Reference> {
    Reference::parse(text).map_err(|error| Error::said(error.to_string()))
}

/// Pulls one image on behalf of `run` and `create`.
pub(crate) fn pull(
    context: &Context<'_>,
    image: &str,
    platform: &str,
    target: Target,
    quiet: bool,
) -> Result<()> {
    let reference = parse(image)?.with_default_tag();
    let wanted = Wanted { reference: &reference, all_tags: false, platform };
    fetch(context, &wanted, target, quiet)
}

/// Asks the daemon to pull, and shows how it goes.
fn fetch(context: &Context<'_>, wanted: &Wanted<'_>, target: Target, quiet: bool) -> Result<()> {
    let reference = wanted.reference;
    let which = reference.digest().map(oci::Digest::as_str).or_else(|| reference.tag()).unwrap_or_default();
    let (_, incoming) = context
        .client()?
        .call(Action::ImageCreate, "")
        .query("fromImage", &reference.name())
        .given("tag", if wanted.all_tags { "" } else { which })
        .given("platform", &wanted.platform.to_lowercase())
        .header(login::header_for(&context.choice.config_dir, reference)?)
        .open()?;
    progress::show(context.out, incoming, target, quiet)
}
