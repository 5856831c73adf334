//! `berth rename`

use api::Action;

use crate::command::{Arity, Command};
use crate::error::Error;

pub(crate) static COMMAND: Command =
    Command::new(
        "rename",
        "CONTAINER NEW_NAME",
        "Give a container another name",
        Arity::Exactly(2),
        |context, matches| {
            let (old, new) = (matches.arg(0).trim(), matches.arg(1).trim());
            if old.is_empty() || new.is_empty() {
                return Err(Error::said("Error: Neither old nor new names may be empty"));
            }
            context.client()?.call(Action::ContainerRename, old).query("name", new).done().map_err(|error| {
                Error::said(format!("{error}\nError: failed to rename container named {old}"))
            })
        },
    )
    .paths(&["container rename", "rename"]);
