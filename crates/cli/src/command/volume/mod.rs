//! `berth volume …`

pub(crate) mod create;
pub(crate) mod inspect;
pub(crate) mod ls;
pub(crate) mod protect;
pub(crate) mod prune;
pub(crate) mod rm;
pub(crate) mod update;

use super::Group;

/// The noun.
pub(crate) static GROUP: Group = Group {
    name: "volume",
    about: "Manage volumes",
    commands: &[
        &create::COMMAND,
        &inspect::COMMAND,
        &ls::COMMAND,
        &protect::PROTECT,
        &prune::COMMAND,
        &rm::COMMAND,
        &protect::UNPROTECT,
        &update::COMMAND,
    ],
};
