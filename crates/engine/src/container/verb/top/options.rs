//! The options of `ps`, as procps understands them, where they choose columns, order, or some of the container's
//! processes. Which processes belong to the container is the container's affair.

use super::columns::{Column, Kind};
use super::layout::Layout;
use super::process::{Process, System};
use crate::error::{Error, Result};

/// What `ps` was asked for.
#[derive(Debug)]
pub(super) struct Options {
    pub(super) columns: Vec<Column>,
    /// A row a thread.
    pub(super) threads: bool,
    chosen: Vec<Choice>,
    /// Columns to sort by, and whether the largest comes first.
    sort: Vec<(Column, bool)>,
}

/// One reason to show a process; of several, one is enough.
#[derive(Debug, PartialEq, Eq)]
enum Choice {
    Pid(i32),
    Parent(i32),
    User(String),
    Name(String),
}

/// Reads the arguments; empty is `-ef`.
///
/// # Errors
/// An option that is not understood here; no column of process ids.
pub(super) fn parse(arguments: &str) -> Result<Options> {
    let arguments = if arguments.trim().is_empty() { "-ef" } else { arguments };
    let mut reading = Reading::default();
    let mut words = arguments.split_whitespace();
    while let Some(word) = words.next() {
        match word.strip_prefix("--") {
            Some(long) => reading.long(long, &mut words)?,
            None => reading.letters(word, &mut words)?,
        }
    }
    let columns = if reading.custom.is_empty() { reading.layout.columns()? } else { reading.custom };
    // Docker finds the processes by the column of this title
    if reading.no_headers || !columns.iter().any(|column| column.kind == Kind::Pid && column.title == "PID") {
        return Err(Error::system("Couldn't find PID field in ps output"));
    }
    Ok(Options { columns, threads: reading.layout.threads, chosen: reading.chosen, sort: reading.sort })
}

impl Options {
    /// Whether a process is one of those asked for.
    pub(super) fn wants(&self, process: &Process, system: &System) -> bool {
        let fits = |choice: &Choice| match choice {
            Choice::Pid(pid) => process.pid == *pid,
            Choice::Parent(pid) => process.field(4) == i64::from(*pid),
            Choice::User(user) => system.user(process.uid) == *user || process.uid.to_string() == *user,
            Choice::Name(name) => process.command == *name,
        };
        self.chosen.is_empty() || self.chosen.iter().any(fits)
    }

    /// Brings processes into the order asked for.
    pub(super) fn order(&self, processes: &mut [Process], system: &System) {
        for (column, largest_first) in self.sort.iter().rev() {
            processes.sort_by(|a, b| {
                let (a, b) = (column.value(a, system), column.value(b, system));
                let order = match (a.parse::<f64>(), b.parse::<f64>()) {
                    (Ok(a), Ok(b)) => a.total_cmp(&b),
                    _ => a.cmp(&b),
                };
                if *largest_first { order.reverse() } else { order }
            });
        }
    }
}

#[derive(Default)]
struct Reading {
    custom: Vec<Column>,
    layout: Layout,
    chosen: Vec<Choice>,
    sort: Vec<(Column, bool)>,
    no_headers: bool,
}

impl Reading {
    fn long<'a>(&mut self, option: &str, words: &mut impl Iterator<Item = &'a str>) -> Result<()> {
        let (name, given) =
            option.split_once('=').map_or((option, None), |(name, value)| (name, Some(value)));
        let mut value = || {
            given
                .or_else(|| words.next())
                .ok_or_else(|| error(&format!("option --{name} requires an argument")))
        };
        match name {
            "forest" | "cumulative" | "headers" => {}
            "width" | "cols" | "columns" | "rows" | "lines" => {
                value()?;
            }
            "no-headers" | "no-heading" | "noheader" | "noheaders" | "noheading" | "noheadings" => {
                self.no_headers = true;
            }
            "format" => self.format(value()?)?,
            "sort" => self.sort_by(value()?)?,
            "pid" => self.numbers(value()?, Choice::Pid)?,
            "ppid" => self.numbers(value()?, Choice::Parent)?,
            "user" | "User" => self.texts(value()?, Choice::User),
            "context" => self.layout.label = true,
            _ => return Err(error("unknown gnu long option")),
        }
        Ok(())
    }

    /// `-ef`, `aux`, `-o pid,comm`, `-p1`: letters of one word; the first that takes a value takes what follows.
    fn letters<'a>(&mut self, word: &str, words: &mut impl Iterator<Item = &'a str>) -> Result<()> {
        let dashed = word.starts_with('-');
        let text = word.strip_prefix('-').unwrap_or(word);
        if text.is_empty() {
            return Err(error("improper list"));
        }
        self.layout.bsd |= !dashed;
        // as procps: nobody is called "x"
        let aux = dashed && text.contains("ux");
        for (at, letter) in text.char_indices() {
            let takes_value =
                matches!((letter, dashed), ('o' | 'k' | 'p' | 'U', _) | ('u' | 'C', true)) && !aux;
            if takes_value || matches!(letter, 'o') {
                let rest = text.get(at + letter.len_utf8()..).filter(|rest| !rest.is_empty());
                let value = rest.or_else(|| words.next());
                let value =
                    value.ok_or_else(|| error(&format!("list of {} must follow {word}", what(letter))))?;
                return self.valued(letter, value);
            }
            self.layout.letter(letter, dashed || aux).ok_or_else(|| {
                error(if dashed { "unsupported SysV option" } else { "unsupported option (BSD syntax)" })
            })?;
        }
        self.layout.user |= aux;
        self.layout.bsd |= aux;
        Ok(())
    }

    fn valued(&mut self, letter: char, value: &str) -> Result<()> {
        match letter {
            'o' => self.format(value),
            'k' => self.sort_by(value),
            'p' => self.numbers(value, Choice::Pid),
            'C' => {
                self.texts(value, Choice::Name);
                Ok(())
            }
            _ => {
                self.texts(value, Choice::User);
                Ok(())
            }
        }
    }

    fn format(&mut self, list: &str) -> Result<()> {
        for part in list.split(',').filter(|part| !part.is_empty()) {
            let (name, title) =
                part.split_once('=').map_or((part, None), |(name, title)| (name, Some(title)));
            let mut column = named(name)?;
            if let Some(title) = title {
                title.clone_into(&mut column.title);
            }
            self.custom.push(column);
        }
        Ok(())
    }

    fn sort_by(&mut self, list: &str) -> Result<()> {
        for key in list.split(',').filter(|key| !key.is_empty()) {
            let (name, down) =
                key.strip_prefix('-').map_or((key.trim_start_matches('+'), false), |name| (name, true));
            self.sort.push((named(name)?, down));
        }
        Ok(())
    }

    fn numbers(&mut self, list: &str, choice: impl Fn(i32) -> Choice) -> Result<()> {
        for part in list.split(',').filter(|part| !part.is_empty()) {
            self.chosen.push(choice(part.parse().map_err(|_error| error("process ID list syntax error"))?));
        }
        Ok(())
    }

    fn texts(&mut self, list: &str, choice: impl Fn(String) -> Choice) {
        self.chosen
            .extend(list.split(',').filter(|part| !part.is_empty()).map(|part| choice(part.to_owned())));
    }
}

fn what(letter: char) -> &'static str {
    match letter {
        'o' => "format specifiers",
        'k' => "sort keys",
        'p' => "process IDs",
        'C' => "command names",
        _ => "users",
    }
}

fn named(name: &str) -> Result<Column> {
    Column::named(name).ok_or_else(|| error(&format!("unknown user-defined format specifier \"{name}\"")))
}

/// A refusal in the words of procps.
fn error(reason: &str) -> Error {
    Error::bad_parameter(format!("ps: error: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn titles(arguments: &str) -> String {
        let columns = parse(arguments).unwrap().columns;
        columns.iter().map(|column| column.title.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn arguments_of_ps_choose_columns() {
        for (arguments, shown) in [
            ("", "UID PID PPID C STIME TTY TIME CMD"),
            ("-ef", "UID PID PPID C STIME TTY TIME CMD"),
            ("aux", "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND"),
            ("-aux", "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND"),
            ("ax", "PID TTY STAT TIME COMMAND"),
            ("-A", "PID TTY TIME CMD"),
            ("-l", "F S UID PID PPID C PRI NI ADDR SZ WCHAN TTY TIME CMD"),
            ("-ely", "S UID PID PPID C PRI NI RSS SZ WCHAN TTY TIME CMD"),
            ("-F", "UID PID PPID C SZ RSS PSR STIME TTY TIME CMD"),
            ("-eLf", "UID PID PPID LWP C NLWP STIME TTY TIME CMD"),
            ("-Z", "LABEL PID TTY TIME CMD"),
            ("-o pid,comm", "PID COMMAND"),
            ("-opid -o user", "PID USER"),
            ("axo pid,cmd=WHAT", "PID WHAT"),
            ("-U root --forest", "PID TTY TIME CMD"),
        ] {
            assert_eq!(titles(arguments), shown, "{arguments}");
        }
        assert!(parse("-eLf").unwrap().threads && !parse("-ef").unwrap().threads);
    }

    #[test]
    fn choices_and_order() {
        let options = parse("-o pid,rss -p 1,2 -C sleep --sort=-rss,pid").unwrap();
        let chosen = [Choice::Pid(1), Choice::Pid(2), Choice::Name("sleep".to_owned())];
        assert_eq!(options.chosen, chosen);
        let sort: Vec<_> = options.sort.iter().map(|(column, down)| (column.title.as_str(), *down)).collect();
        assert_eq!(sort, [("RSS", true), ("PID", false)]);
    }

    #[test]
    fn what_is_wrong_is_said_as_ps_says_it() {
        let reason = |arguments: &str| parse(arguments).unwrap_err().to_string();
        assert_eq!(reason("-o nope"), "ps: error: unknown user-defined format specifier \"nope\"");
        assert_eq!(reason("--bogus"), "ps: error: unknown gnu long option");
        assert_eq!(reason("-@"), "ps: error: unsupported SysV option");
        assert_eq!(reason("-p x"), "ps: error: process ID list syntax error");
        assert_eq!(reason("-o"), "ps: error: list of format specifiers must follow -o");
        for arguments in ["-o comm", "-o pid=PROC", "-ef --no-headers"] {
            assert_eq!(reason(arguments), "Couldn't find PID field in ps output");
        }
    }
}
