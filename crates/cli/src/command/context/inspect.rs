//! `berth context inspect`

use crate::command::{Arity, Command, Context};
use crate::contexts::{self, Store, meta};
use crate::error::{Error, Result};
use crate::flag::{Flag, Matches};
use crate::format::json::Json;
use crate::format::object;

pub(crate) static COMMAND: Command = Command::new(
    "inspect",
    "[OPTIONS] [CONTEXT] [CONTEXT...]",
    "Show everything about contexts",
    Arity::Any,
    run,
)
.flags(&[&[Flag::format_object()]]);

fn run(context: &Context<'_>, matches: &Matches) -> Result<()> {
    let names = match matches.args.as_slice() {
        [] => vec![context.choice.context_name()],
        given => given.to_vec(),
    };
    let store = Store::new(&context.choice.config_dir);
    let mut found = Vec::new();
    let mut failures = Vec::new();
    for name in &names {
        match whole(context, &store, name) {
            Ok(object) => found.push(object),
            Err(error) => failures.push(error.to_string()),
        }
    }
    match matches.get("format") {
        // the only list of Docker's that is written with HTML escaping on
        "" => context.out.line(&Json::Array(found).pretty_escaped())?,
        format => object::print(context.out, format, &found)?,
    }
    if failures.is_empty() { Ok(()) } else { Err(Error::said(failures.join("\n"))) }
}

/// The document, which files belong to it, and where all that lies.
fn whole(context: &Context<'_>, store: &Store, name: &str) -> Result<Json> {
    let text = |text: String| Json::String(text);
    let object = |members: Vec<(&str, Json)>| {
        Json::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    };
    let (document, files, places) = if name == contexts::DEFAULT {
        let made = contexts::copied(store, &context.choice, name)?;
        let memory = "<IN MEMORY>".to_owned();
        (meta(name, "", &made.host, made.skip_verify), made.tls, [memory.clone(), memory])
    } else {
        let stored = store.get(name)?;
        let tls = stored.tls()?;
        let place = |path: &std::path::Path| path.display().to_string();
        (stored.meta.clone(), tls, [place(&stored.meta_dir), place(&stored.tls_dir)])
    };
    let Json::Object(mut members) = document else {
        return Err(Error::said(format!("context \"{name}\": its document is no JSON object")));
    };
    let listed = files.into_iter().filter(|(_, files)| !files.is_empty()).map(|(endpoint, files)| {
        (endpoint, Json::Array(files.into_iter().map(|(name, _)| Json::String(name)).collect()))
    });
    members.push(("TLSMaterial".to_owned(), Json::Object(listed.collect())));
    let [meta_path, tls_path] = places;
    let storage = object(vec![("MetadataPath", text(meta_path)), ("TLSPath", text(tls_path))]);
    members.push(("Storage".to_owned(), storage));
    Ok(Json::Object(members))
}
