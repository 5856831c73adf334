//! `berth manifest inspect`

use oci::{Document, Reference};
use serde::Serialize;

use super::ask::{Asker, decode};
use super::push::ManifestList;
use super::store::Entry;
use super::{INSECURE, entry, parse, store};
use crate::command::{Arity, Command, Context};
use crate::error::{Error, Result};
use crate::flag::{Flag, Matches};
use crate::format::json::Json;

pub(super) static COMMAND: Command = Command::new(
    "inspect",
    "[OPTIONS] [MANIFEST_LIST] MANIFEST",
    "Show a manifest or a list of them",
    Arity::Range(1, 2),
    run,
)
.flags(&[&[
    INSECURE,
    Flag::bool("verbose", "Show platforms and where each manifest is from, too").short('v'),
]]);

fn run(context: &Context<'_>, matches: &Matches) -> Result<()> {
    let verbose = matches.bool("verbose");
    let store = store(context);
    let mut asker = Asker::new(context, matches.bool("insecure"));
    if matches.args.len() == 2 {
        let (list, image) = (parse(matches.arg(0))?, parse(matches.arg(1))?);
        return show(context, &entry(&store, &list, &image, &mut asker)?, verbose);
    }
    let reference = parse(matches.arg(0))?;
    let local = store.list(&reference)?;
    if !local.is_empty() {
        return show_list(context, &local, verbose);
    }
    let found = asker.manifest(&reference)?;
    let Document::Index(index) = found.document else {
        return show(context, &asker.image(&reference)?, verbose);
    };
    if !verbose {
        return print(context, &found.bytes, "   ");
    }
    let mut entries = Vec::new();
    for listed in index.manifests {
        let image = Reference::parse(&reference.name())
            .map_err(|error| Error::said(error.to_string()))?
            .with_digest(listed.digest);
        let mut entry = asker.image(&image)?;
        entry.descriptor.platform = listed.platform.or(entry.descriptor.platform);
        entries.push(entry);
    }
    show_list(context, &entries, true)
}

fn show(context: &Context<'_>, entry: &Entry, verbose: bool) -> Result<()> {
    if verbose { print(context, &encode(entry)?, "\t") } else { print(context, &decode(&entry.raw)?, "\t") }
}

fn show_list(context: &Context<'_>, entries: &[Entry], verbose: bool) -> Result<()> {
    if verbose {
        return print(context, &encode(&entries)?, "\t");
    }
    print(context, &encode(&ManifestList::new(entries))?, "   ")
}

fn encode(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| Error::said(error.to_string()))
}

/// As Go encodes it with that indent.
pub(super) fn encode_by(value: &impl Serialize, indent: &str) -> Result<String> {
    indented(&encode(value)?, indent)
}

fn indented(bytes: &[u8], indent: &str) -> Result<String> {
    let json: Json = serde_json::from_slice(bytes).map_err(|error| Error::said(error.to_string()))?;
    Ok(json.indented(indent))
}

fn print(context: &Context<'_>, bytes: &[u8], indent: &str) -> Result<()> {
    context.out.line(&indented(bytes, indent)?)
}
