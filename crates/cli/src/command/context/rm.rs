//! `berth context rm`

use crate::command::{Arity, Command, Context};
use crate::contexts::{self, Store};
use crate::error::{Error, Result};
use crate::flag::{Flag, Matches};
use crate::login::ConfigFile;

pub(crate) static COMMAND: Command =
    Command::new("rm", "CONTEXT [CONTEXT...]", "Remove one or more contexts", Arity::AtLeast(1), run)
        .aliases(&["remove"])
        .paths(&["context rm", "context remove"])
        .flags(&[&[Flag::bool("force", "Also when it is in use").short('f')]]);

fn run(context: &Context<'_>, matches: &Matches) -> Result<()> {
    let store = Store::new(&context.choice.config_dir);
    let current = context.choice.context_name();
    let mut failures = Vec::new();
    for name in &matches.args {
        match remove(context, &store, name, name == &current, matches.bool("force")) {
            Ok(()) => context.out.line(name)?,
            Err(error) => failures.push(error.to_string()),
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(Error::said(failures.join("\n"))) }
}

fn remove(context: &Context<'_>, store: &Store, name: &str, current: bool, force: bool) -> Result<()> {
    if name == contexts::DEFAULT {
        return Err(Error::said("context \"default\" cannot be removed"));
    }
    if !store.has(name) && !force {
        return Err(Error::said(format!("context \"{name}\" does not exist")));
    }
    if current {
        if !force {
            return Err(Error::said(format!("context \"{name}\" is in use, set -f flag to force remove")));
        }
        let mut file = ConfigFile::open(&context.choice.config_dir)?;
        if file.root.get("currentContext").and_then(serde_json::Value::as_str) == Some(name) {
            file.root.remove("currentContext");
            file.save()?;
        }
    }
    store.remove(name)
}
