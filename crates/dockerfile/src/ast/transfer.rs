//! `COPY` and `ADD`.

use crate::span::{Span, Word};

/// What `COPY` and `ADD` have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// At least one, in order.
    pub sources: Vec<Source>,
    /// Expands.
    pub destination: Word,
    /// `--chown=user[:group]`; expands.
    pub chown: Option<Word>,
    /// `--chmod`: octal, or symbolic as chmod(1) takes it; expands.
    pub chmod: Option<Word>,
    /// `--link`: a layer of its own that does not look at what lies below.
    pub link: bool,
    /// `--exclude` patterns in the language of `.dockerignore`; they expand.
    pub exclude: Vec<Word>,
}

/// Where content comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A path with wildcards (Go's `filepath.Match`), or for `ADD` a URL; expands.
    Path(Word),
    /// A file whose text stands in the Dockerfile.
    Heredoc(Heredoc),
}

/// `<<NAME`
#[derive(Clone, Debug)]
pub struct Heredoc {
    /// The delimiter without quotes: the file's name.
    pub name: String,
    /// Variables in it expand ([`crate::expand::body`]) in `COPY` and `ADD`: the delimiter is not quoted.
    pub expand: bool,
    /// `<<-`: tabs at the beginning of lines are taken out.
    pub strip_tabs: bool,
    /// The file descriptor before `<<`, if there is one. Only shells heed it.
    pub descriptor: Option<u32>,
    /// The lines as they stand in the Dockerfile, tabs and all; ends with a newline unless it is empty.
    pub text: String,
    /// Where the word `<<NAME` stands.
    pub span: Span,
}

impl PartialEq for Heredoc {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && self.expand == other.expand
            && self.strip_tabs == other.strip_tabs
            && self.descriptor == other.descriptor
            && self.text == other.text
    }
}

impl Eq for Heredoc {}

impl Heredoc {
    /// The content: the text, without its leading tabs where `<<-` asks for that. Not expanded.
    pub fn content(&self) -> String {
        if !self.strip_tabs {
            return self.text.clone();
        }
        self.text.split_inclusive('\n').map(|line| line.trim_start_matches('\t')).collect()
    }
}

/// `COPY`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// What goes where, and how.
    pub transfer: Transfer,
    /// `--from`: a stage, its number, a named context or an image. Never expands.
    pub from: Option<Word>,
    /// `--parents`: directories of a source's path are made below the destination; what stands before `/./` in it is
    /// left out.
    pub parents: bool,
}

/// `ADD`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Add {
    /// What goes where, and how.
    pub transfer: Transfer,
    /// `--checksum=sha256:…` of the one remote source; expands.
    pub checksum: Option<Word>,
    /// `--keep-git-dir`
    pub keep_git_dir: bool,
    /// `--unpack`: archives are unpacked, or not; by default local ones are and remote ones are not.
    pub unpack: Option<bool>,
}
