//! `berth checkpoint …`

pub(crate) mod create;
pub(crate) mod ls;
pub(crate) mod rm;

use super::Group;

/// The noun.
pub(crate) static GROUP: Group = Group {
    name: "checkpoint",
    about: "Manage checkpoints",
    commands: &[&create::COMMAND, &ls::COMMAND, &rm::COMMAND],
};
