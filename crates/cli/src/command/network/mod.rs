//! `berth network …`

pub(crate) mod inspect;
pub(crate) mod ls;
pub(crate) mod rm;

use super::{Command, Group};

/// The noun.
pub(crate) static GROUP: Group = Group {
    name: "network",
    about: "Manage networks",
    commands: &[
        &Command::planned("connect", "[OPTIONS] NETWORK CONTAINER", "Connect a container to a network"),
        &Command::planned("create", "[OPTIONS] NETWORK", "Create a network"),
        &Command::planned(
            "disconnect",
            "[OPTIONS] NETWORK CONTAINER",
            "Disconnect a container from a network",
        ),
        &inspect::COMMAND,
        &ls::COMMAND,
        &Command::planned("prune", "[OPTIONS]", "Remove networks that nothing uses"),
        &rm::COMMAND,
    ],
};
