//! `berth manifest rm`

use super::{parse, store};
use crate::command::{Arity, Command};
use crate::error::Error;

pub(super) static COMMAND: Command = Command::new(
    "rm",
    "MANIFEST_LIST [MANIFEST_LIST...]",
    "Remove local lists of manifests",
    Arity::AtLeast(1),
    |context, matches| {
        let store = store(context);
        let mut failures = Vec::new();
        for name in &matches.args {
            let removed = parse(name).and_then(|list| store.remove(&list));
            match removed {
                Ok(true) => {}
                Ok(false) => failures.push(format!("No such manifest: {name}")),
                Err(error) => failures.push(error.to_string()),
            }
        }
        if failures.is_empty() { Ok(()) } else { Err(Error::said(failures.join("\n"))) }
    },
);
