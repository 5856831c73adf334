//! `berth manifest create`

use super::ask::Asker;
use super::{INSECURE, entry, parse, store};
use crate::command::{Arity, Command};
use crate::error::Error;
use crate::flag::Flag;

pub(super) static COMMAND: Command = Command::new(
    "create",
    "MANIFEST_LIST MANIFEST [MANIFEST...]",
    "Create a local list of manifests",
    Arity::AtLeast(2),
    |context, matches| {
        let list = parse(matches.arg(0))?;
        let store = store(context);
        if !store.list(&list)?.is_empty() && !matches.bool("amend") {
            return Err(Error::said("refusing to amend an existing manifest list with no --amend flag"));
        }
        let mut asker = Asker::new(context, matches.bool("insecure"));
        // All are looked up before the first is kept: a list is made whole or not at all.
        let mut found = Vec::new();
        for image in &matches.args[1..] {
            let image = parse(image)?;
            let entry = entry(&store, &list, &image, &mut asker)?;
            found.push((image, entry));
        }
        for (image, entry) in &found {
            store.save(&list, image, entry)?;
        }
        context.out.line(&format!("Created manifest list {list}"))
    },
)
.flags(&[&[Flag::bool("amend", "Add to a list that is there").short('a'), INSECURE]]);
