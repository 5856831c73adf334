//! The sets of columns that letters of `ps` name.

use super::columns::Column;
use crate::error::{Error, Result};

/// What the letters said so far.
#[derive(Debug, Default)]
pub(super) struct Layout {
    /// There were letters without a dash.
    pub(super) bsd: bool,
    /// `u`
    pub(super) user: bool,
    /// `-Z`
    pub(super) label: bool,
    /// `-L`, `-T`, `H`
    pub(super) threads: bool,
    full: bool,
    extra: bool,
    long: bool,
    no_flags: bool,
    jobs: bool,
}

impl Layout {
    /// Takes one letter; `None` when it is not known.
    pub(super) fn letter(&mut self, letter: char, dashed: bool) -> Option<()> {
        match (letter, dashed) {
            // which of all processes, how wide, and trees: of no matter here
            ('e' | 'A' | 'a' | 'd' | 'H', true) | ('x' | 'w', _) => {}
            ('a' | 'f' | 'e' | 'g' | 'c' | 'n' | 'T' | 'r', false) => {}
            ('u', true) => {}
            ('f', true) => self.full = true,
            ('F', true) => (self.full, self.extra) = (true, true),
            ('u', false) => self.user = true,
            ('l', _) => self.long = true,
            ('y', true) => self.no_flags = true,
            ('j', _) => self.jobs = true,
            ('L' | 'T', true) | ('H', false) => self.threads = true,
            ('Z' | 'M', _) => self.label = true,
            _ => return None,
        }
        Some(())
    }

    /// Its columns.
    ///
    /// # Errors
    /// A set is meant that is not known.
    pub(super) fn columns(&self) -> Result<Vec<Column>> {
        let mut names: Vec<&str> = match self {
            Self { user: true, .. } => vec![
                "uname=USER",
                "pid",
                "%cpu",
                "%mem",
                "vsz",
                "rss",
                "tname",
                "stat",
                "bsdstart",
                "bsdtime",
                "args",
            ],
            Self { long: true, bsd: true, .. } => vec![
                "f", "uid", "pid", "ppid", "pri", "ni", "vsz", "rss", "wchan", "stat", "tname", "bsdtime",
                "args",
            ],
            Self { long: true, no_flags: true, .. } => vec![
                "s", "uid", "pid", "ppid", "c", "pri", "ni", "rss", "sz", "wchan", "tname", "time", "ucmd",
            ],
            Self { long: true, .. } => vec![
                "f", "s", "uid", "pid", "ppid", "c", "pri", "ni", "addr", "sz", "wchan", "tname", "time",
                "ucmd",
            ],
            Self { jobs: true, bsd: true, .. } => {
                vec!["ppid", "pid", "pgid", "sid", "tname", "tpgid", "stat", "uid", "bsdtime", "args"]
            }
            Self { jobs: true, full: true, .. } => {
                vec!["user=UID", "pid", "ppid", "pgid", "sid", "c", "stime", "tname", "time", "cmd"]
            }
            Self { jobs: true, .. } => vec!["pid", "pgid", "sid", "tname", "time", "ucmd"],
            Self { extra: true, .. } => {
                vec!["user=UID", "pid", "ppid", "c", "sz", "rss", "psr", "stime", "tname", "time", "cmd"]
            }
            Self { full: true, threads: true, .. } => {
                vec!["user=UID", "pid", "ppid", "lwp", "c", "nlwp", "stime", "tname", "time", "cmd"]
            }
            Self { full: true, .. } => vec!["user=UID", "pid", "ppid", "c", "stime", "tname", "time", "cmd"],
            Self { bsd: true, .. } => vec!["pid", "tname", "stat", "bsdtime", "args"],
            Self { threads: true, .. } => vec!["pid", "lwp", "tname", "time", "ucmd"],
            _ => vec!["pid", "tname", "time", "ucmd"],
        };
        if self.label {
            names.insert(0, "label");
        }
        names.into_iter().map(column).collect()
    }
}

/// `name`, or `name=TITLE`.
fn column(text: &str) -> Result<Column> {
    let (name, title) = text.split_once('=').map_or((text, None), |(name, title)| (name, Some(title)));
    let column = Column::named(name).ok_or_else(|| Error::system(format!("ps: no column {name}")))?;
    Ok(Column { title: title.unwrap_or(&column.title).to_owned(), ..column })
}
