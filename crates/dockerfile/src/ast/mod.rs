//! What a Dockerfile says, as values. Nothing is expanded: that needs the environment of the base image. Fields that
//! the reference lets expand are [`Word`]s, or say so.

mod command;
mod health;
mod mount;
mod transfer;

pub use command::{CommandLine, Network, Run, Script, Security};
pub use health::Healthcheck;
pub use mount::{Mount, MountError, MountKind, MountSpec, Owner, Sharing};
pub use transfer::{Add, Copy, Heredoc, Source, Transfer};

use crate::directive::Directives;
use crate::span::{Located, Location, Span, Word};

/// A whole Dockerfile.
#[derive(Clone, Debug, Default)]
pub struct Dockerfile {
    /// What was parsed, with U+FFFD for what is not UTF-8. [`Span`]s count its bytes.
    pub source: String,
    /// The parser directives.
    pub directives: Directives,
    /// `ARG` instructions before the first `FROM`. They are known to every `FROM`, and to a stage that names them in an
    /// `ARG` of its own.
    pub args: Vec<Located<Vec<Argument>>>,
    /// The stages in order; at least one.
    pub stages: Vec<Stage>,
    /// Lines on which a continuation goes on with nothing. Docker warns of them.
    pub empty_continuations: Vec<usize>,
}

/// `FROM [--platform=…] base [AS name]` and what follows up to the next `FROM`.
#[derive(Clone, Debug)]
pub struct Stage {
    /// The name in lower case, in which it is compared.
    pub name: Option<String>,
    /// The name and the keyword before it as they are written.
    pub written_name: Option<(Word, Word)>,
    /// Image, earlier stage, named context or `scratch`. Expands from the `ARG`s before the first `FROM` and the
    /// platform arguments alone.
    pub base: Word,
    /// `--platform`. Expands as `base` does.
    pub platform: Option<Word>,
    /// What to do in the stage.
    pub instructions: Vec<Located<Instruction>>,
    /// Where the `FROM` stands.
    pub at: Location,
}

impl PartialEq for Stage {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && self.base == other.base
            && self.platform == other.platform
            && self.instructions == other.instructions
    }
}

/// One instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Instruction {
    /// `ADD`
    Add(Add),
    /// `ARG name[=default] …`; names and defaults expand.
    Arg(Vec<Argument>),
    /// `CMD`; never expands.
    Cmd(CommandLine),
    /// `COPY`
    Copy(Copy),
    /// `ENTRYPOINT`; never expands.
    Entrypoint(CommandLine),
    /// `ENV`; names and values expand, each from the environment before the whole instruction.
    Env(Vec<Pair>),
    /// `EXPOSE`: several ports and ranges; they expand, into several words if need be
    /// ([`crate::expand::words`]), and are then read by [`crate::expose::parse`].
    Expose(Vec<Word>),
    /// `HEALTHCHECK`
    Healthcheck(Healthcheck),
    /// `LABEL`; names and values expand.
    Label(Vec<Pair>),
    /// `MAINTAINER`; never expands.
    Maintainer(Word),
    /// `ONBUILD`
    Onbuild(Onbuild),
    /// `RUN`
    Run(Run),
    /// `SHELL`, at least one word; never expands.
    Shell(Vec<Word>),
    /// `STOPSIGNAL`; expands.
    Stopsignal(Word),
    /// `USER`; expands.
    User(Word),
    /// `VOLUME`, at least one; they expand.
    Volume(Vec<Word>),
    /// `WORKDIR`; expands.
    Workdir(Word),
}

impl Instruction {
    /// The keyword in capitals.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Add(_) => "ADD",
            Self::Arg(_) => "ARG",
            Self::Cmd(_) => "CMD",
            Self::Copy(_) => "COPY",
            Self::Entrypoint(_) => "ENTRYPOINT",
            Self::Env(_) => "ENV",
            Self::Expose(_) => "EXPOSE",
            Self::Healthcheck(_) => "HEALTHCHECK",
            Self::Label(_) => "LABEL",
            Self::Maintainer(_) => "MAINTAINER",
            Self::Onbuild(_) => "ONBUILD",
            Self::Run(_) => "RUN",
            Self::Shell(_) => "SHELL",
            Self::Stopsignal(_) => "STOPSIGNAL",
            Self::User(_) => "USER",
            Self::Volume(_) => "VOLUME",
            Self::Workdir(_) => "WORKDIR",
        }
    }
}

/// `name=value`, or the old `name value` of one pair a line.
#[derive(Clone, Debug)]
pub struct Pair {
    /// Not empty; expands.
    pub name: Word,
    /// Expands.
    pub value: Word,
    /// It is written in the old form.
    pub legacy: bool,
}

impl PartialEq for Pair {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.value == other.value
    }
}

impl Eq for Pair {}

/// `name[=default]` of an `ARG`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument {
    /// Not empty; expands.
    pub name: Word,
    /// What it is worth when the build is given nothing; expands.
    pub default: Option<Word>,
}

/// `ONBUILD instruction`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Onbuild {
    /// What the image's configuration keeps: the instruction as written, with its here-documents.
    pub expression: String,
    /// The same as a value: whatever is wrong with it is found when the trigger is written, not when it fires.
    pub instruction: Box<Instruction>,
}

impl Dockerfile {
    /// The index of the stage that `name` means: a name in any case.
    pub fn stage(&self, name: &str) -> Option<usize> {
        let name = name.to_lowercase();
        self.stages.iter().rposition(|stage| stage.name.as_deref() == Some(&*name))
    }

    /// The line on which `span` begins, with what of the span is on it underlined; see [`crate::error::excerpt`].
    pub fn excerpt(&self, span: Span, hint: Option<&str>) -> String {
        crate::error::excerpt(&self.source, span, hint)
    }
}
