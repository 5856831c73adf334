//! `berth context update`

use super::create::DOCKER;
use crate::command::{Arity, Command, Context};
use crate::contexts::{self, Store, parse_options, set};
use crate::error::{Error, Result};
use crate::flag::{Flag, Matches};
use crate::format::json::Json;

pub(crate) static COMMAND: Command =
    Command::new("update", "[OPTIONS] CONTEXT", "Change a context", Arity::Exactly(1), run)
        .flags(&[&[Flag::string("description", "What to describe it as"), DOCKER]]);

fn run(context: &Context<'_>, matches: &Matches) -> Result<()> {
    let options = parse_options(&matches.all("docker"))?;
    let name = matches.arg(0);
    contexts::check_name(name)?;
    let store = Store::new(&context.choice.config_dir);
    let stored = store.get(name)?;
    let mut document = stored.meta;
    if let Some(about) = matches.given("description").filter(|about| !about.is_empty()) {
        set(&mut document, &["Metadata", "Description"], Some(Json::String(about.to_owned())));
    }
    let mut tls = Vec::new();
    if !options.is_empty() {
        let made = options.describe(&store, &context.choice)?;
        let endpoint = |key| ["Endpoints", "docker", key];
        set(&mut document, &endpoint("Host"), Some(Json::String(made.host)));
        set(&mut document, &endpoint("SkipTLSVerify"), Some(Json::Bool(made.skip_verify)));
        tls = made.tls;
    }
    if options.is_empty() && !matches.has("description") {
        return Err(Error::said("nothing to change: give --description or --docker"));
    }
    store.put(name, &document, &tls)?;
    context.out.line(name)?;
    context.out.error_line(&format!("Successfully updated context \"{name}\""));
    Ok(())
}
