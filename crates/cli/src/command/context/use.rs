//! `berth context use` and `berth context show`

use super::ls::variable;
use crate::client::host::by_environment;
use crate::command::{Arity, Command, Context};
use crate::contexts::{self, Store};
use crate::error::Result;
use crate::flag::Matches;
use crate::login::ConfigFile;

pub(crate) static COMMAND: Command =
    Command::new("use", "CONTEXT", "Make a context the current one", Arity::Exactly(1), run);

pub(crate) static SHOW: Command =
    Command::new("show", "", "Print the name of the current context", Arity::None, |context, _| {
        context.out.line(&context.choice.context_name())
    });

fn run(context: &Context<'_>, matches: &Matches) -> Result<()> {
    let name = matches.arg(0);
    if name != contexts::DEFAULT {
        contexts::check_name(name)?;
        Store::new(&context.choice.config_dir).get(name)?;
    }
    let mut file = ConfigFile::open(&context.choice.config_dir)?;
    let wanted = if name == contexts::DEFAULT {
        file.root.remove("currentContext").is_some()
    } else {
        let new = serde_json::Value::from(name);
        file.root.insert("currentContext".into(), new.clone()).as_ref() != Some(&new)
    };
    if wanted {
        // as every program of Docker's writes it
        file.root.entry("auths").or_insert_with(|| serde_json::json!({}));
        file.save()?;
    }
    context.out.line(name)?;
    context.out.error_line(&format!("Current context is now \"{name}\""));
    if name != contexts::DEFAULT && by_environment().is_some() {
        context.out.error_line(&format!(
            "Warning: {} environment variable overrides the active context. To use \"{name}\", either set the global --context flag, or unset {0} environment variable.",
            variable()
        ));
    }
    Ok(())
}
