//! `berth wait`

use api::Action;
use api::container::WaitResponse;

use crate::command::{Arity, Command};
use crate::error::Error;

pub(crate) static COMMAND: Command = Command::new(
    "wait",
    "CONTAINER [CONTAINER...]",
    "Wait until one or more containers stop, and print their exit codes",
    Arity::AtLeast(1),
    |context, matches| {
        context.each_saying(&matches.args, |client, name| {
            let end: WaitResponse = client.call(Action::ContainerWait, name).fetch()?;
            match end.error {
                Some(error) => Err(Error::said(format!("Error response from daemon: {}", error.message))),
                None => Ok(format!("{}\n", end.status_code)),
            }
        })
    },
)
.paths(&["container wait", "wait"]);
