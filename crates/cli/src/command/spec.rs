//! What a command is.

use std::cell::OnceCell;

use crate::client::{Choice, Client};
use crate::error::{Error, Result};
use crate::flag::{Flag, Matches};
use crate::out::Out;

/// One command of the tree.
pub(crate) struct Command {
    /// Its name in its group.
    pub(crate) name: &'static str,
    /// Other names in its group.
    pub(crate) aliases: &'static [&'static str],
    /// All full paths that lead here, when there are several.
    pub(crate) paths: &'static [&'static str],
    /// One line for lists of commands.
    pub(crate) about: &'static str,
    /// What may follow the path: `[OPTIONS] CONTAINER`.
    pub(crate) usage: &'static str,
    /// How many positional arguments it takes.
    pub(crate) arity: Arity,
    /// Whether flags may follow positional arguments.
    pub(crate) interspersed: bool,
    /// Its flags, list by list.
    pub(crate) flags: &'static [&'static [Flag]],
    /// The daemon's side is not there yet; flags are not looked at.
    pub(crate) planned: bool,
    /// What it does.
    pub(crate) run: fn(&Context<'_>, &Matches) -> Result<()>,
}

impl Command {
    /// A command without flags.
    pub(crate) const fn new(
        name: &'static str,
        usage: &'static str,
        about: &'static str,
        arity: Arity,
        run: fn(&Context<'_>, &Matches) -> Result<()>,
    ) -> Self {
        Self {
            name,
            aliases: &[],
            paths: &[],
            about,
            usage,
            arity,
            interspersed: true,
            flags: &[],
            planned: false,
            run,
        }
    }

    /// A command that is known and not there yet.
    pub(crate) const fn planned(name: &'static str, usage: &'static str, about: &'static str) -> Self {
        let mut command = Self::new(name, usage, about, Arity::Any, super::absent::not_yet);
        command.planned = true;
        command
    }

    pub(crate) const fn flags(mut self, flags: &'static [&'static [Flag]]) -> Self {
        self.flags = flags;
        self
    }

    pub(crate) const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    pub(crate) const fn paths(mut self, paths: &'static [&'static str]) -> Self {
        self.paths = paths;
        self
    }

    /// Flags end at the first positional argument.
    pub(crate) const fn stops_at_first_argument(mut self) -> Self {
        self.interspersed = false;
        self
    }

    pub(crate) fn all_flags(&self) -> Vec<Flag> {
        self.flags.concat()
    }

    pub(crate) fn usage_line(&self, path: &str) -> String {
        // A second line begins with the program's name, too.
        let program = path.split(' ').next().unwrap_or(path);
        let usage = self.usage.replace("\tberth ", &format!("\t{program} "));
        format!("{path} {usage}").trim_end().to_owned()
    }
}

/// A noun and its commands.
pub(crate) struct Group {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) commands: &'static [&'static Command],
}

impl Group {
    pub(crate) fn find(&self, name: &str) -> Option<&'static Command> {
        self.commands.iter().copied().find(|command| command.name == name || command.aliases.contains(&name))
    }
}

/// A word that may follow the program's name.
pub(crate) enum Entry {
    /// A command, by a name that may differ from the one in its group (`ps`).
    Command(&'static str, &'static Command),
    /// A noun.
    Group(&'static Group),
    /// Swarm.
    OutOfScope(&'static str),
}

/// How many positional arguments a command takes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Arity {
    None,
    Exactly(usize),
    AtLeast(usize),
    AtMost(usize),
    Range(usize, usize),
    Any,
}

impl Arity {
    pub(crate) fn check(self, matches: &Matches, path: &str, usage: &str) -> Result<()> {
        let plural = |count: usize| if count == 1 { "argument" } else { "arguments" };
        let given = matches.args.len();
        let (wrong, wish, hint) = match self {
            Self::Any => return Ok(()),
            Self::None => (given > 0, "accepts no arguments".to_owned(), "Run"),
            Self::Exactly(n) => (given != n, format!("requires {n} {}", plural(n)), "Run"),
            Self::AtLeast(n) => (given < n, format!("requires at least {n} {}", plural(n)), "See"),
            Self::AtMost(n) => (given > n, format!("requires at most {n} {}", plural(n)), "Run"),
            Self::Range(low, high) => (
                !(low..=high).contains(&given),
                format!("requires at least {low} and at most {high} arguments"),
                "Run",
            ),
        };
        if !wrong {
            return Ok(());
        }
        Err(Error::Usage(format!(
            "'{path}' {wish}\n\nUsage:  {usage}\n\n{hint} '{path} --help' for more information"
        )))
    }
}

/// What a running command has at hand.
pub(crate) struct Context<'a> {
    /// `berth`, or `docker` when called so.
    pub(crate) program: &'a str,
    /// The words that led here.
    pub(crate) path: String,
    /// Where the daemon is.
    pub(crate) choice: Choice,
    /// Where text goes.
    pub(crate) out: &'a Out,
    client: OnceCell<Client>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(program: &'a str, path: String, choice: Choice, out: &'a Out) -> Self {
        Self { program, path, choice, out, client: OnceCell::new() }
    }

    /// The daemon, settled on when first asked for.
    pub(crate) fn client(&self) -> Result<&Client> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        if self.choice.tells {
            let config = self.choice.config_dir.display();
            self.out.error_line(&format!(
                "level=debug msg=\"daemon at {}, configuration in {config}\"",
                self.choice.resolve()?.host
            ));
        }
        let client = Client::new(&self.choice, self.program == "docker")?;
        Ok(self.client.get_or_init(|| client))
    }

    /// Does the same with each name and prints it; failures are reported at the end.
    pub(crate) fn each(
        &self,
        names: &[String],
        mut one: impl FnMut(&Client, &str) -> Result<()>,
    ) -> Result<()> {
        self.each_saying(names, |client, name| one(client, name).map(|()| format!("{name}\n")))
    }

    /// As [`Self::each`], printing what `one` returns.
    pub(crate) fn each_saying(
        &self,
        names: &[String],
        mut one: impl FnMut(&Client, &str) -> Result<String>,
    ) -> Result<()> {
        let client = self.client()?;
        let mut failures = Vec::new();
        for name in names {
            match one(client, name) {
                Ok(text) => self.out.text(&text)?,
                Err(error @ (Error::Daemon { .. } | Error::Said(_))) => failures.push(error.to_string()),
                Err(error) => return Err(error),
            }
        }
        if failures.is_empty() { Ok(()) } else { Err(Error::Said(failures.join("\n"))) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arity_speaks_like_docker() {
        let given = |count: usize| {
            let mut matches = Matches::default();
            matches.args = vec![String::new(); count];
            matches
        };
        let say =
            |arity: Arity, count| arity.check(&given(count), "berth x", "berth x").unwrap_err().to_string();
        assert!(say(Arity::None, 1).starts_with("'berth x' accepts no arguments\n"));
        assert!(say(Arity::Exactly(1), 2).starts_with("'berth x' requires 1 argument\n"));
        assert!(say(Arity::AtLeast(2), 1).ends_with("See 'berth x --help' for more information"));
        assert!(say(Arity::Range(1, 2), 0).contains("requires at least 1 and at most 2 arguments"));
        assert!(Arity::Any.check(&given(9), "", "").is_ok());
    }
}
