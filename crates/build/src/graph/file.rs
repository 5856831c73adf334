//! Changes of files that need no process.

use oci::Digest;
use serde::Serialize;

/// Actions in their order.
#[derive(Clone, Debug, Serialize, Default, PartialEq)]
pub struct FileOp {
    /// Each may use the results of those before it.
    pub actions: Vec<FileAction>,
}

/// What an action works on.
#[derive(Clone, Copy, Debug, Serialize, PartialEq, Eq, Hash)]
pub enum FileInput {
    /// An input of the vertex, by its place.
    Input(usize),
    /// What an earlier action of this operation made, by its place.
    Action(usize),
}

/// One change.
#[derive(Clone, Debug, Serialize, PartialEq)]
pub struct FileAction {
    /// The tree that is changed, `None` for an empty one.
    pub input: Option<FileInput>,
    /// Where a copy comes from, `None` for an empty tree.
    pub secondary: Option<FileInput>,
    /// The number of the vertex's output that the result is, if it is one.
    pub output: Option<u32>,
    /// What is done.
    pub action: Action,
}

/// What is done.
#[derive(Clone, Debug, Serialize, PartialEq)]
pub enum Action {
    /// Copies files.
    Copy(Box<Copy>),
    /// Writes a file.
    MakeFile(MakeFile),
    /// Makes a directory.
    MakeDir(MakeDir),
    /// Removes something.
    Remove(Remove),
    /// Makes a symbolic link.
    Symlink(Symlink),
}

/// A copy (`FileActionCopy`).
#[derive(Clone, Debug, Serialize, Default, PartialEq)]
pub struct Copy {
    /// Path in the secondary input; a pattern if `wildcard`.
    pub source: String,
    /// Path in the input.
    pub target: String,
    /// Whose the copies are, `None` for the sources' owners.
    pub owner: Option<Chown>,
    /// Mode of the copies: octal digits or chmod(1)'s symbols, `None` for the sources'.
    pub mode: Option<String>,
    /// A source that is a symbolic link stands for what it leads to.
    pub follow_symlinks: bool,
    /// Of a source that is a directory its contents are copied, not itself.
    pub contents_only: bool,
    /// A source that is an archive is unpacked (`ADD`).
    pub unpack: bool,
    /// The target's parents are made.
    pub make_parents: bool,
    /// The source is a pattern of Go's `filepath.Match`.
    pub wildcard: bool,
    /// A pattern that matches nothing is no error.
    pub empty_wildcard: bool,
    /// Only paths that match one of these; empty for all.
    pub include: Vec<String>,
    /// Not those that match one of these.
    pub exclude: Vec<String>,
    /// Modification time in nanoseconds since 1970, `None` for the sources'.
    pub timestamp: Option<i64>,
    /// Something of another kind that is in the way is replaced rather than an error.
    pub replace: bool,
    /// Where of the source its name in the target begins (`--parents` and its `/./`), `None` when only the last
    /// component counts.
    pub parents: bool,
    /// The digest that the (one) source file must have.
    pub checksum: Option<Digest>,
}

/// A file (`FileActionMkFile`).
#[derive(Clone, Debug, Serialize, Default, PartialEq)]
pub struct MakeFile {
    /// Where.
    pub path: String,
    /// Mode bits.
    pub mode: u32,
    /// Contents.
    pub data: Vec<u8>,
    /// Whose, `None` for root.
    pub owner: Option<Chown>,
    /// Modification time in nanoseconds since 1970, `None` for now.
    pub timestamp: Option<i64>,
}

/// A directory (`FileActionMkDir`).
#[derive(Clone, Debug, Serialize, Default, PartialEq)]
pub struct MakeDir {
    /// Where.
    pub path: String,
    /// Mode bits.
    pub mode: u32,
    /// With its parents, and no error if it is there.
    pub make_parents: bool,
    /// Whose, `None` for root.
    pub owner: Option<Chown>,
    /// Modification time in nanoseconds since 1970, `None` for now.
    pub timestamp: Option<i64>,
}

/// A removal (`FileActionRm`).
#[derive(Clone, Debug, Serialize, Default, PartialEq)]
pub struct Remove {
    /// What; a pattern if `wildcard`.
    pub path: String,
    /// No error if there is nothing.
    pub allow_not_found: bool,
    /// The path is a pattern of Go's `filepath.Match`.
    pub wildcard: bool,
}

/// A symbolic link (`FileActionSymlink`).
#[derive(Clone, Debug, Serialize, Default, PartialEq)]
pub struct Symlink {
    /// Where it leads.
    pub target: String,
    /// Where it stands.
    pub path: String,
    /// Whose, `None` for root.
    pub owner: Option<Chown>,
    /// Modification time in nanoseconds since 1970, `None` for now.
    pub timestamp: Option<i64>,
}

/// Whose something becomes (`ChownOpt`).
#[derive(Clone, Debug, Serialize, Default, PartialEq, Eq, Hash)]
pub struct Chown {
    /// Owner, `None` for root.
    pub user: Option<Owner>,
    /// Group, `None` for root's when a user is given by number, for the user's own when by name.
    pub group: Option<Owner>,
}

/// A user or a group.
#[derive(Clone, Debug, Serialize, PartialEq, Eq, Hash)]
pub enum Owner {
    /// By number.
    Id(u32),
    /// By name, looked up in a tree's `/etc/passwd` or `/etc/group`.
    Name {
        /// The name.
        name: String,
        /// In which tree, `None` for the one that is changed.
        input: Option<FileInput>,
    },
}

impl FileOp {
    pub(super) fn check(&self, inputs: usize) -> Result<(), String> {
        if self.actions.is_empty() {
            return Err("no file is changed".into());
        }
        for (place, action) in self.actions.iter().enumerate() {
            for used in [action.input, action.secondary].into_iter().flatten().chain(action.action.owners()) {
                match used {
                    FileInput::Input(input) if input >= inputs => {
                        return Err(format!("action {place} uses input {input} of {inputs}"));
                    }
                    FileInput::Action(earlier) if earlier >= place => {
                        return Err(format!("action {place} uses the result of action {earlier}"));
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

impl Action {
    /// Whose files become what it makes.
    pub fn owner(&self) -> Option<&Chown> {
        match self {
            Self::Copy(copy) => copy.owner.as_ref(),
            Self::MakeFile(file) => file.owner.as_ref(),
            Self::MakeDir(directory) => directory.owner.as_ref(),
            Self::Symlink(link) => link.owner.as_ref(),
            Self::Remove(_) => None,
        }
    }

    fn owners(&self) -> impl Iterator<Item = FileInput> {
        let of = |owner: &Option<Owner>| match owner {
            Some(Owner::Name { input, .. }) => *input,
            _ => None,
        };
        let (user, group) = self.owner().map_or((None, None), |chown| (of(&chown.user), of(&chown.group)));
        user.into_iter().chain(group)
    }
}
