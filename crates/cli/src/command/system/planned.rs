//! Commands that wait for the daemon's side.

use crate::command::{Command, Group};

pub(crate) static CONTEXT: Group = Group {
    name: "context",
    about: "Manage contexts",
    commands: &[
        &Command::planned("create", "[OPTIONS] CONTEXT", "Create a context"),
        &Command::planned("export", "CONTEXT [FILE|-]", "Write a context to an archive"),
        &Command::planned("import", "CONTEXT FILE|-", "Read a context from an archive"),
        &Command::planned("inspect", "[OPTIONS] [CONTEXT] [CONTEXT...]", "Show everything about contexts"),
        &Command::planned("ls", "[OPTIONS]", "List contexts").aliases(&["list"]),
        &Command::planned("rm", "CONTEXT [CONTEXT...]", "Remove contexts").aliases(&["remove"]),
        &Command::planned("show", "", "Print the name of the current context"),
        &Command::planned("update", "[OPTIONS] CONTEXT", "Change a context"),
        &Command::planned("use", "CONTEXT", "Make a context the current one"),
    ],
};

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
