//! `berth volume …`

pub(crate) mod create;
pub(crate) mod inspect;
pub(crate) mod ls;
pub(crate) mod prune;
pub(crate) mod rm;

use super::{Command, Group};

/// The noun.
pub(crate) static GROUP: Group = Group {
    name: "volume",
    about: "Manage volumes",
    commands: &[
        &create::COMMAND,
        &inspect::COMMAND,
        &ls::COMMAND,
        &prune::COMMAND,
        &rm::COMMAND,
        &Command::planned("update", "[OPTIONS] VOLUME", "Change a volume of a cluster"),
    ],
};
