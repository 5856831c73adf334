//! Commands that wait for the daemon's side.

use crate::command::{Command, Group};

pub(crate) static PLUGIN: Group = Group {
    name: "plugin",
    about: "Manage plugins",
    commands: &[
        &Command::planned("create", "[OPTIONS] PLUGIN PLUGIN-DATA-DIR", "Create a plugin"),
        &Command::planned("disable", "[OPTIONS] PLUGIN", "Disable a plugin"),
        &Command::planned("enable", "[OPTIONS] PLUGIN", "Enable a plugin"),
        &Command::planned("inspect", "[OPTIONS] PLUGIN [PLUGIN...]", "Show everything about plugins"),
        &Command::planned("install", "[OPTIONS] PLUGIN [KEY=VALUE...]", "Install a plugin"),
        &Command::planned("ls", "[OPTIONS]", "List plugins").aliases(&["list"]),
        &Command::planned("push", "[OPTIONS] PLUGIN[:TAG]", "Push a plugin to a registry"),
        &Command::planned("rm", "[OPTIONS] PLUGIN [PLUGIN...]", "Remove plugins").aliases(&["remove"]),
        &Command::planned("set", "PLUGIN KEY=VALUE [KEY=VALUE...]", "Change settings of a plugin"),
        &Command::planned("upgrade", "[OPTIONS] PLUGIN [REMOTE]", "Upgrade a plugin"),
    ],
};
