//! `berth inspect`, for anything that has a name.

use api::Action;

use super::{Arity, Command, Context};
use crate::client::Client;
use crate::error::{Error, Result};
use crate::flag::{Flag, Matches};
use crate::format::json::Json;
use crate::format::object;

pub(crate) static COMMAND: Command = Command::new(
    "inspect",
    "[OPTIONS] NAME|ID [NAME|ID...]",
    "Show everything about containers, images, networks and volumes",
    Arity::AtLeast(1),
    run,
)
.flags(&[&[
    Flag::format_object(),
    Flag::bool("size", "Include the sizes of a container's files").short('s'),
    Flag::string("type", "Only objects of this type"),
]]);

/// Types in the order in which a name is looked for.
const TYPES: [(&str, Action); 4] = [
    ("container", Action::ContainerInspect),
    ("image", Action::ImageInspect),
    ("network", Action::NetworkInspect),
    ("volume", Action::VolumeInspect),
];

const KNOWN: &str = "\"config\", \"container\", \"image\", \"network\", \"node\", \"plugin\", \"secret\", \"service\", \"task\", \"volume\"";

fn run(context: &Context<'_>, matches: &Matches) -> Result<()> {
    let wanted = matches.get("type");
    if matches.has("type") && wanted.is_empty() {
        return Err(Error::said(format!("type is empty: must be one of {KNOWN}")));
    }
    let types: Vec<_> = TYPES.iter().filter(|(name, _)| wanted.is_empty() || *name == wanted).collect();
    if types.is_empty() {
        if ["config", "node", "secret", "service", "task"].contains(&wanted) {
            return Err(super::absent::out_of_scope(wanted));
        }
        return Err(Error::said(format!("unknown type: \"{wanted}\": must be one of {KNOWN}")));
    }
    inspect_all(context, matches.get("format"), &matches.args, |client, name| {
        for (kind, action) in &types {
            let size = matches.bool("size") && *kind == "container";
            match client.call(*action, name).switch("size", size).fetch() {
                Err(error) if error.is_absent() && wanted.is_empty() => {}
                other => return other,
            }
        }
        Err(Error::said(format!("Error: No such object: {name}")))
    })
}

/// Prints what `get` finds, and then tells what it didn't find.
pub(crate) fn inspect_all(
    context: &Context<'_>,
    format: &str,
    names: &[String],
    mut get: impl FnMut(&Client, &str) -> Result<Json>,
) -> Result<()> {
    let client = context.client()?;
    let (mut objects, mut failures) = (Vec::new(), Vec::new());
    for name in names {
        match get(client, name) {
            Ok(object) => objects.push(object),
            Err(error @ (Error::Daemon { .. } | Error::Said(_))) => failures.push(error.to_string()),
            Err(error) => return Err(error),
        }
    }
    object::print(context.out, format, &objects)?;
    if failures.is_empty() { Ok(()) } else { Err(Error::Said(failures.join("\n"))) }
}
