//! The options of `ps` that name columns; which processes are shown is the container's affair.

use super::columns::{Column, Kind};
use crate::error::{Error, Result};

/// Columns that `ps` would print for these arguments.
///
/// # Errors
/// An option that is not understood here.
pub(super) fn columns(arguments: &str) -> Result<Vec<Column>> {
    let mut words = arguments.split_whitespace().peekable();
    let mut custom = Vec::new();
    let mut layout = if arguments.trim().is_empty() { Layout::Full } else { Layout::Plain };
    while let Some(word) = words.next() {
        let format = match word {
            "-o" | "o" | "--format" | "-eo" | "-Ao" | "-axo" | "axo" => {
                Some(words.next().ok_or_else(|| Error::bad_parameter("ps: -o needs columns"))?)
            }
            _ => {
                word.strip_prefix("-o").or_else(|| word.strip_prefix("--format=")).or_else(|| before_o(word))
            }
        };
        if let Some(list) = format {
            custom.extend(parse(list)?);
            continue;
        }
        layout = layout.or(letters(word)?);
    }
    if custom.is_empty() {
        return Ok(layout.columns());
    }
    // Docker finds the processes by this column
    if !custom.iter().any(|column| column.kind == Kind::Pid) {
        return Err(Error::system("Couldn't find PID field in ps output"));
    }
    Ok(custom)
}

/// `-eo pid,comm` has its columns in the next word; `-eopid` here.
fn before_o(word: &str) -> Option<&str> {
    let (before, list) = word.strip_prefix('-')?.split_once('o')?;
    let others = !before.is_empty() && before.chars().all(|letter| "eAaxd".contains(letter));
    (others && !list.is_empty()).then_some(list)
}

fn parse(list: &str) -> Result<Vec<Column>> {
    let mut columns = Vec::new();
    for part in list.split(',').filter(|part| !part.is_empty()) {
        let (name, title) = part.split_once('=').map_or((part, None), |(name, title)| (name, Some(title)));
        let mut column = Column::named(name).ok_or_else(|| {
            Error::bad_parameter(format!("ps: unknown user-defined format specifier \"{name}\""))
        })?;
        if let Some(title) = title {
            title.clone_into(&mut column.title);
        }
        columns.push(column);
    }
    Ok(columns)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    Plain,
    Full,
    User,
    Long,
}

impl Layout {
    fn or(self, other: Self) -> Self {
        if other == Self::Plain { self } else { other }
    }

    fn columns(self) -> Vec<Column> {
        let names: &[(&str, &str)] = match self {
            Self::Plain => &[("pid", "PID"), ("tty", "TTY"), ("time", "TIME"), ("comm", "CMD")],
            Self::Full => &[
                ("user", "UID"),
                ("pid", "PID"),
                ("ppid", "PPID"),
                ("c", "C"),
                ("stime", "STIME"),
                ("tty", "TTY"),
                ("time", "TIME"),
                ("cmd", "CMD"),
            ],
            Self::User => &[
                ("user", "USER"),
                ("pid", "PID"),
                ("%cpu", "%CPU"),
                ("%mem", "%MEM"),
                ("vsz", "VSZ"),
                ("rss", "RSS"),
                ("tty", "TTY"),
                ("stat", "STAT"),
                ("stime", "START"),
                ("time", "TIME"),
                ("args", "COMMAND"),
            ],
            Self::Long => &[
                ("s", "S"),
                ("uid", "UID"),
                ("pid", "PID"),
                ("ppid", "PPID"),
                ("c", "C"),
                ("pri", "PRI"),
                ("ni", "NI"),
                ("vsz", "SZ"),
                ("tty", "TTY"),
                ("time", "TIME"),
                ("cmd", "CMD"),
            ],
        };
        let column = |(name, title): &(&str, &str)| {
            Column::named(name).map(|column| Column { title: (*title).to_owned(), ..column })
        };
        names.iter().filter_map(column).collect()
    }
}

/// `-ef`, `aux`, `-l`: letters of one word.
fn letters(word: &str) -> Result<Layout> {
    let unknown = || Error::bad_parameter(format!("ps: the option {word} is not supported"));
    let mut layout = Layout::Plain;
    let letters = word.strip_prefix('-').unwrap_or(word);
    for letter in letters.chars() {
        match (letter, word.starts_with('-')) {
            ('e' | 'A' | 'a' | 'x' | 'w' | 'd', _) => {}
            ('f' | 'F', true) => layout = Layout::Full,
            ('u', _) => layout = Layout::User,
            ('l', _) => layout = Layout::Long,
            // the tree and environment of BSD's letters change nothing about the columns
            ('f', false) => layout = layout.or(Layout::Plain),
            _ => return Err(unknown()),
        }
    }
    if letters.is_empty() { Err(unknown()) } else { Ok(layout) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn titles(arguments: &str) -> Vec<String> {
        columns(arguments).unwrap().into_iter().map(|column| column.title).collect()
    }

    #[test]
    fn arguments_of_ps_choose_columns() {
        assert_eq!(titles("").join(" "), "UID PID PPID C STIME TTY TIME CMD");
        assert_eq!(titles("-ef"), titles(""));
        assert_eq!(titles("aux").join(" "), "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND");
        assert_eq!(titles("-o pid,comm").join(" "), "PID COMMAND");
        assert_eq!(titles("-eo pid,cmd=WHAT").join(" "), "PID WHAT");
        assert!(columns("-o nope").is_err());
        assert!(columns("-o comm").is_err());
        assert!(columns("-Z").is_err());
    }
}
