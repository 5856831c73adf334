//! Commands in shell form and in exec form, and `RUN`.

use super::{Heredoc, MountSpec};
use crate::span::Word;

/// What `RUN`, `CMD`, `ENTRYPOINT` and `HEALTHCHECK CMD` start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandLine {
    /// One text for the shell (`SHELL`, `/bin/sh -c` by default). An empty one is no word: the shell is started
    /// with its own words alone.
    Shell(Word),
    /// A JSON array: the words themselves. An empty one is allowed, and takes an inherited command away.
    Exec(Vec<Word>),
}

impl CommandLine {
    /// The words to execute with this shell in front of the shell form.
    pub fn words(&self, shell: &[String]) -> Vec<String> {
        match self {
            Self::Exec(words) => words.iter().map(|word| word.text.clone()).collect(),
            Self::Shell(text) if text.is_empty() => shell.to_vec(),
            Self::Shell(text) => shell.iter().cloned().chain([text.text.clone()]).collect(),
        }
    }
}

/// `RUN [--mount=…]… [--network=…] [--security=…] command`. The command never expands: its shell does that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// In order; one mounted later lies over one before.
    pub mounts: Vec<MountSpec>,
    /// `--network`
    pub network: Network,
    /// `--security`
    pub security: Security,
    /// The command, `<<EOF` left in. Use [`Run::script`] where there may be here-documents.
    pub command: CommandLine,
    /// Here-documents of the shell form, in order.
    pub heredocs: Vec<Heredoc>,
}

/// What of a `RUN` is executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Script {
    /// These words.
    Exec(Vec<String>),
    /// The shell, with this text as its last word; none if it is empty.
    Shell(String),
    /// A file of this content, executable, that is there only while it runs: `#!` says what interprets it.
    File {
        /// Its name, the here-document's.
        name: String,
        /// Its bytes.
        content: String,
    },
}

impl Run {
    /// What is executed. A command that is a here-document alone is its text, for the shell, or for whatever `#!`
    /// names; where there is more to the command, the shell gets here-documents to read itself.
    pub fn script(&self) -> Script {
        let text = match &self.command {
            CommandLine::Exec(words) => {
                return Script::Exec(words.iter().map(|word| word.text.clone()).collect());
            }
            CommandLine::Shell(text) => text,
        };
        let Some(first) = self.heredocs.first() else {
            return Script::Shell(text.text.clone());
        };
        if crate::parse::is_heredoc(text) {
            let content = first.content();
            return if first.text.starts_with("#!") {
                Script::File { name: first.name.clone(), content }
            } else {
                Script::Shell(content)
            };
        }
        let mut whole = text.text.clone();
        for heredoc in &self.heredocs {
            whole.push('\n');
            whole.push_str(&heredoc.text);
            whole.push_str(&heredoc.name);
        }
        Script::Shell(whole)
    }
}

/// `RUN --network`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// The build's.
    #[default]
    Default,
    /// None but a loopback device.
    None,
    /// The host's.
    Host,
}

/// `RUN --security`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Security {
    /// Confined, as a container by default is.
    #[default]
    Sandbox,
    /// As a privileged container; needs the entitlement `security.insecure`.
    Insecure,
}
