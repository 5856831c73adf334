//! `berth context create`

use crate::command::{Arity, Command, Context};
use crate::contexts::{self, Store, meta, parse_options, set};
use crate::error::{Error, Result};
use crate::flag::{Flag, Matches};
use crate::format::json::Json;

pub(crate) static COMMAND: Command =
    Command::new("create", "[OPTIONS] CONTEXT", "Create a context", Arity::Exactly(1), run).flags(&[&[
        Flag::string("description", "What to describe it as"),
        DOCKER,
        Flag::string("from", "Context to copy"),
    ]]);

/// `--docker`
pub(super) const DOCKER: Flag = Flag::list(
    "docker",
    "Daemon of the context: host=ADDRESS,ca=FILE,cert=FILE,key=FILE,skip-tls-verify=BOOL or from=CONTEXT",
)
.ty("stringToString")
.shows("[]");

fn run(context: &Context<'_>, matches: &Matches) -> Result<()> {
    let options = parse_options(&matches.all("docker"))?;
    let name = matches.arg(0);
    contexts::check_name(name)?;
    let store = Store::new(&context.choice.config_dir);
    if store.has(name) {
        return Err(Error::said(format!("context \"{name}\" already exists")));
    }
    let about = matches.get("description");
    let from = matches.get("from");
    if !from.is_empty() {
        if !options.is_empty() {
            return Err(Error::said("cannot use --docker flag when --from is set"));
        }
        copy(context, &store, name, about, from)?;
    } else if options.is_empty() {
        // without a word, what is in use now
        let current = context.choice.context_name();
        copy(context, &store, name, about, &current)?;
    } else {
        let made = options.describe(&store, &context.choice)?;
        store.put(name, &meta(name, about, &made.host, made.skip_verify), &made.tls)?;
    }
    context.out.line(name)?;
    context.out.error_line(&format!("Successfully created context \"{name}\""));
    Ok(())
}

/// A copy of a context, or of what flags and environment say, under another name.
fn copy(context: &Context<'_>, store: &Store, name: &str, about: &str, from: &str) -> Result<()> {
    if from == contexts::DEFAULT {
        let made = contexts::copied(store, &context.choice, from)?;
        let about = if about.is_empty() { contexts::DEFAULT_ABOUT } else { about };
        return store.put(name, &meta(name, about, &made.host, made.skip_verify), &made.tls);
    }
    let stored = store.get(from)?;
    let mut document = stored.meta.clone();
    set(&mut document, &["Name"], Some(Json::String(name.to_owned())));
    if !about.is_empty() {
        set(&mut document, &["Metadata", "Description"], Some(Json::String(about.to_owned())));
    }
    store.put(name, &document, &stored.tls()?)
}
