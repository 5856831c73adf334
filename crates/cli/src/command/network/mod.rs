//! `berth network …`

pub(crate) mod connect;
pub(crate) mod create;
pub(crate) mod disconnect;
pub(crate) mod inspect;
mod ipam;
pub(crate) mod ls;
pub(crate) mod prune;
pub(crate) mod rm;

use super::Group;

/// The noun.
pub(crate) static GROUP: Group = Group {
    name: "network",
    about: "Manage networks",
    commands: &[
        &connect::COMMAND,
        &create::COMMAND,
        &disconnect::COMMAND,
        &inspect::COMMAND,
        &ls::COMMAND,
        &prune::COMMAND,
        &rm::COMMAND,
    ],
};
