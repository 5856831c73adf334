//! `berth container …`

pub(crate) mod attach;
pub(crate) mod create;
pub(crate) mod exec;
pub(crate) mod files;
pub(crate) mod inspect;
pub(crate) mod kill;
pub(crate) mod logs;
pub(crate) mod ls;
pub(crate) mod pause;
pub(crate) mod port;
pub(crate) mod prune;
pub(crate) mod rename;
pub(crate) mod restart;
pub(crate) mod rm;
pub(crate) mod run;
pub(crate) mod start;
pub(crate) mod stats;
pub(crate) mod stop;
pub(crate) mod top;
pub(crate) mod unpause;
pub(crate) mod update;
pub(crate) mod wait;

use super::Group;

/// The noun.
pub(crate) static GROUP: Group = Group {
    name: "container",
    about: "Manage containers",
    commands: &[
        &attach::COMMAND,
        &files::commit::COMMAND,
        &files::cp::COMMAND,
        &create::COMMAND,
        &files::diff::COMMAND,
        &exec::COMMAND,
        &files::export::COMMAND,
        &inspect::COMMAND,
        &kill::COMMAND,
        &logs::COMMAND,
        &ls::COMMAND,
        &pause::COMMAND,
        &port::COMMAND,
        &prune::COMMAND,
        &rename::COMMAND,
        &restart::COMMAND,
        &rm::COMMAND,
        &run::COMMAND,
        &start::COMMAND,
        &stats::COMMAND,
        &stop::COMMAND,
        &top::COMMAND,
        &unpause::COMMAND,
        &update::COMMAND,
        &wait::COMMAND,
    ],
};
