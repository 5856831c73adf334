//! `berth system …`, and what is asked about the daemon itself.

pub(crate) mod builder;
pub(crate) mod df;
pub(crate) mod dial_stdio;
mod doctor;
pub(crate) mod events;
pub(crate) mod info;
mod info_text;
pub(crate) mod planned;
pub(crate) mod prune;
pub(crate) mod version;

use super::Group;

/// The noun.
pub(crate) static GROUP: Group = Group {
    name: "system",
    about: "Manage Berth",
    commands: &[
        &df::COMMAND,
        &dial_stdio::COMMAND,
        &doctor::COMMAND,
        &events::COMMAND,
        &info::COMMAND,
        &prune::COMMAND,
    ],
};
