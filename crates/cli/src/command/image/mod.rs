//! `berth image …`

pub(crate) mod build;
pub(crate) mod explore;
pub(crate) mod history;
pub(crate) mod import;
pub(crate) mod inspect;
pub(crate) mod load;
pub(crate) mod ls;
pub(crate) mod prune;
pub(crate) mod pull;
pub(crate) mod push;
pub(crate) mod rm;
pub(crate) mod save;
pub(crate) mod sbom;
pub(crate) mod search;
pub(crate) mod tag;
mod tree;
pub(crate) mod verify;

use super::Group;

/// The noun.
pub(crate) static GROUP: Group = Group {
    name: "image",
    about: "Manage images",
    commands: &[
        &build::COMMAND,
        &explore::COMMAND,
        &history::COMMAND,
        &import::COMMAND,
        &inspect::COMMAND,
        &load::COMMAND,
        &ls::COMMAND,
        &prune::COMMAND,
        &pull::COMMAND,
        &push::COMMAND,
        &rm::COMMAND,
        &save::COMMAND,
        &sbom::COMMAND,
        &tag::COMMAND,
        &verify::COMMAND,
    ],
};

/// `os/arch[/variant]` as the API takes it: JSON; empty when nothing is asked for.
pub(crate) fn platform_json(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    let mut parts = text.splitn(3, '/');
    let mut part = || parts.next().unwrap_or("").to_owned();
    let platform =
        api::image::Platform { os: part(), architecture: part(), variant: part(), ..Default::default() };
    serde_json::to_string(&platform).unwrap_or_default()
}
