//! `berth context export` and `berth context import`

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;

use crate::command::{Arity, Command, Context};
use crate::contexts::{self, Store, Stored};
use crate::error::{Error, Result, reason};
use crate::flag::Matches;

pub(crate) static EXPORT: Command = Command::new(
    "export",
    "CONTEXT [FILE|-]",
    "Export a context to a tar archive: a FILE, or standard output",
    Arity::Range(1, 2),
    export,
);

pub(crate) static IMPORT: Command = Command::new(
    "import",
    "CONTEXT FILE|-",
    "Import a context from a tar archive",
    Arity::Exactly(2),
    import,
);

fn export(context: &Context<'_>, matches: &Matches) -> Result<()> {
    let name = matches.arg(0);
    let store = Store::new(&context.choice.config_dir);
    let stored = if name == contexts::DEFAULT { default(context, &store)? } else { store.get(name)? };
    let output = match matches.arg(1) {
        "" => format!("{name}.dockercontext"),
        given => given.to_owned(),
    };
    if output == "-" {
        if io::stdout().is_terminal() {
            return Err(Error::said("cowardly refusing to export to a terminal, specify a file path"));
        }
        let mut archive = Vec::new();
        contexts::export(&stored, &mut archive)?;
        let mut stdout = io::stdout().lock();
        return stdout
            .write_all(&archive)
            .and_then(|()| stdout.flush())
            .map_err(Error::io("standard output"));
    }
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&output)
        .map_err(|error| Error::said(format!("open {output}: {}", reason(&error))))?;
    contexts::export(&stored, file).inspect_err(|_| drop(std::fs::remove_file(&output)))?;
    context.out.error_line(&format!("Written file \"{output}\""));
    Ok(())
}

/// What flags and environment say, as if it were stored; keys stay where they are, as with Docker.
fn default(context: &Context<'_>, store: &Store) -> Result<Stored> {
    let made = contexts::copied(store, &context.choice, contexts::DEFAULT)?;
    Ok(Stored {
        name: contexts::DEFAULT.to_owned(),
        meta: contexts::meta(contexts::DEFAULT, "", &made.host, made.skip_verify),
        meta_dir: Default::default(),
        tls_dir: "/nonexistent".into(),
    })
}

fn import(context: &Context<'_>, matches: &Matches) -> Result<()> {
    let (name, input) = (matches.arg(0), matches.arg(1));
    contexts::check_name(name)?;
    let store = Store::new(&context.choice.config_dir);
    if store.has(name) {
        return Err(Error::said(format!("context \"{name}\" already exists")));
    }
    if input == "-" {
        contexts::import(&store, name, io::stdin().lock())?;
    } else {
        let file =
            File::open(input).map_err(|error| Error::said(format!("open {input}: {}", reason(&error))))?;
        contexts::import(&store, name, file)?;
    }
    context.out.line(name)?;
    context.out.error_line(&format!("Successfully imported context \"{name}\""));
    Ok(())
}
