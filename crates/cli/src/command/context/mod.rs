//! `berth context …`: daemons that have names.

mod create;
mod inspect;
mod ls;
mod rm;
mod transfer;
mod update;
mod r#use;

use super::Group;

/// The noun.
pub(crate) static GROUP: Group = Group {
    name: "context",
    about: "Manage contexts",
    commands: &[
        &create::COMMAND,
        &transfer::EXPORT,
        &transfer::IMPORT,
        &inspect::COMMAND,
        &ls::COMMAND,
        &rm::COMMAND,
        &r#use::SHOW,
        &update::COMMAND,
        &r#use::COMMAND,
    ],
};
