//! The tree of commands, and the way from words to one of them.

pub(crate) mod absent;
pub(crate) mod checkpoint;
pub(crate) mod completion;
pub(crate) mod container;
pub(crate) mod context;
pub(crate) mod help;
pub(crate) mod image;
pub(crate) mod manifest;
pub(crate) mod network;
pub(crate) mod object;
pub(crate) mod pruning;
pub(crate) mod registry;
pub(crate) mod spec;
pub(crate) mod system;
pub(crate) mod tree;
pub(crate) mod volume;

pub(crate) use spec::{Arity, Command, Context, Entry, Group};

use crate::client::{Choice, GivenTls, config};
use crate::error::{Error, Result};
use crate::flag::{self, Flag, Matches};
use crate::out::Out;

/// Flags before the command.
pub(crate) const GLOBAL: &[Flag] = &[
    Flag::string("config", "Directory of the client's configuration (default \"~/.docker\")"),
    Flag::string("context", "Stored context that names the daemon (goes before BERTH_HOST and DOCKER_HOST)")
        .short('c'),
    Flag::bool("debug", "Say more about what is done").short('D'),
    Flag::list("host", "Address of the daemon").short('H'),
    Flag::string(
        "log-level",
        "Least severity of log lines (\"debug\", \"info\", \"warn\", \"error\", \"fatal\")",
    )
    .short('l')
    .default("info"),
    Flag::bool("tls", "Use TLS"),
    Flag::string("tlscacert", "Trust certificates signed by this CA only"),
    Flag::string("tlscert", "Certificate to show to the daemon"),
    Flag::string("tlskey", "Key of that certificate"),
    Flag::bool("tlsverify", "Use TLS, and check who the daemon is"),
    Flag::bool("version", "Print the version and quit").short('v'),
];

/// Runs the command that `words` name and returns the exit code. `program` is the name that this
/// program was called by.
pub(crate) fn dispatch(program: &str, words: &[String], out: &Out) -> u8 {
    let root = Place { path: program.to_owned(), usage: format!("{program} [OPTIONS] COMMAND [ARG...]") };
    let outcome = enter(&root, program, words, out).and_then(|()| out.flush().map_err(misplaced(&root)));
    let Err(failure) = outcome else { return 0 };
    let (place, error) = *failure;
    drop(out.flush());
    if let Some(sentence) = error.sentence(&place.path, &place.usage) {
        out.error_line(&sentence);
    }
    error.code()
}

/// Where in the tree we are, for messages.
#[derive(Clone)]
struct Place {
    path: String,
    usage: String,
}

/// An error, and where it happened.
type Misplaced = Box<(Place, Error)>;
type Outcome = std::result::Result<(), Misplaced>;

fn misplaced(place: &Place) -> impl Fn(Error) -> Misplaced {
    |error| Box::new((place.clone(), error))
}

fn enter(root: &Place, program: &str, words: &[String], out: &Out) -> Outcome {
    let at_root = misplaced(root);
    let globals = flag::parse(GLOBAL, words, false).map_err(|text| at_root(Error::Flag(text)))?;
    if globals.bool("version") && !globals.help {
        return out.line(&system::version::one_line(program)).map_err(&at_root);
    }
    if globals.help || globals.args.is_empty() {
        return out.text(&help::root(program)).map_err(&at_root);
    }
    let choice = choice(&globals).map_err(&at_root)?;
    let (name, rest) = (globals.args[0].as_str(), &globals.args[1..]);
    if name == "help" {
        return help::topic(program, rest, out).map_err(&at_root);
    }
    match tree::find(name) {
        Some(Entry::Command(_, command)) => {
            run(command, format!("{program} {name}"), rest, program, choice, out)
        }
        Some(Entry::Group(group)) => enter_group(group, rest, program, choice, out),
        Some(Entry::OutOfScope(_)) => Err(at_root(absent::out_of_scope(name))),
        None => Err(at_root(Error::Usage(format!(
            "unknown command: {program} {name}\n\nRun '{program} --help' for more information"
        )))),
    }
}

fn enter_group(group: &'static Group, words: &[String], program: &str, choice: Choice, out: &Out) -> Outcome {
    let path = format!("{program} {}", group.name);
    let place = Place { usage: format!("{path} COMMAND"), path: path.clone() };
    let at_place = misplaced(&place);
    let matches = flag::parse(&[], words, false).map_err(|text| at_place(Error::Flag(text)))?;
    let Some(name) = matches.args.first().filter(|_| !matches.help) else {
        return out.text(&help::group(program, group)).map_err(&at_place);
    };
    match group.find(name) {
        Some(command) => run(command, format!("{path} {name}"), &matches.args[1..], program, choice, out),
        None => Err(at_place(Error::Usage(format!(
            "unknown command: {path} {name}\n\nUsage:  {path}\n\nRun '{path} --help' for more information"
        )))),
    }
}

fn run(
    command: &'static Command,
    path: String,
    words: &[String],
    program: &str,
    choice: Choice,
    out: &Out,
) -> Outcome {
    let usage = command.usage_line(&path);
    let place = Place { path: path.clone(), usage };
    let at_place = misplaced(&place);
    if command.planned && !words.iter().any(|word| word == "--help") {
        return Err(at_place(absent::sentence(&path)));
    }
    let flags = command.all_flags();
    let matches =
        flag::parse(&flags, words, command.interspersed).map_err(|text| at_place(Error::Flag(text)))?;
    if matches.help {
        return out.text(&help::command(program, &path, command)).map_err(&at_place);
    }
    command.arity.check(&matches, &place.path, &place.usage).map_err(&at_place)?;
    let context = Context::new(program, path, choice, out);
    (command.run)(&context, &matches).map_err(&at_place)
}

/// What the global flags say about the daemon.
fn choice(globals: &Matches) -> Result<Choice> {
    let level = globals.get("log-level");
    if !["debug", "info", "warn", "error", "fatal", "panic", "trace", "warning"].contains(&level) {
        return Err(Error::said(format!("Unable to parse logging level: {level}")));
    }
    let hosts = globals.all("host");
    if hosts.len() > 1 {
        return Err(Error::said("Specify only one -H"));
    }
    let switch = |name| globals.has(name).then(|| globals.bool(name));
    let file = |name| globals.given(name).filter(|path| !path.is_empty()).map(Into::into);
    let tls = GivenTls {
        tls: switch("tls"),
        verify: switch("tlsverify"),
        ca: file("tlscacert"),
        cert: file("tlscert"),
        key: file("tlskey"),
    };
    Ok(Choice {
        tls,
        host: hosts.first().map(|host| (*host).to_owned()),
        context: globals.given("context").map(str::to_owned),
        tells: globals.bool("debug") || ["debug", "trace"].contains(&level),
        config_dir: globals.given("config").map_or_else(config::default_dir, Into::into),
    })
}
