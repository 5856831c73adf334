//! `berth rm`

use api::Action;

use crate::command::{Arity, Command};
use crate::error::Error;
use crate::flag::Flag;

pub(crate) static COMMAND: Command = Command::new(
    "rm",
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Remove one or more containers",
    Arity::AtLeast(1),
    |context, matches| {
        let force = matches.bool("force");
        context.each_saying(&matches.args, |client, name| {
            let name = name.trim_matches('/');
            if name.is_empty() {
                return Err(Error::said("container name cannot be empty"));
            }
            let removed = client
                .call(Action::ContainerDelete, name)
                .switch("v", matches.bool("volumes"))
                .switch("link", matches.bool("link"))
                .switch("force", force)
                .done();
            match removed {
                // What is gone already is what `rm -f` is for; it is said, and is no failure.
                Err(error) if force && error.is_not_found() => {
                    context.out.error_line(&error.to_string());
                    Ok(String::new())
                }
                other => other.map(|()| format!("{name}\n")),
            }
        })
    },
)
.aliases(&["remove"])
.paths(&["container rm", "container remove", "rm"])
.flags(&[&[
    Flag::bool("force", "Kill a running container first").short('f'),
    Flag::bool("link", "Remove that link, not the container").short('l'),
    Flag::bool("volumes", "Remove its anonymous volumes too").short('v'),
]]);
