//! The language of the rows: one line a step, and below it what belongs to the step.
//!
//! ```text
//! ## a row                          its steps share containers; after it everything is removed
//! $ ps -a --format {{.Names}}       a command of both clients, words as a shell splits them
//! > GET /containers/box/json        a request at API version 1.41; a body follows as JSON, or as @FILE
//! ? cat FILE | ls FILE | tar FILE   a look at what a step has left in the working folder
//! < text                            what the step above reads on its standard input
//! = name [.Path]                    keeps its output, or a field of it: `%name%` in later steps
//! ! [docker.|berth.]part: why       its answer differs in this part, for this reason
//! ```
//!
//! A difference's part stands behind a word in brackets if it shows only there: see [`Circumstance`].
//! Words behind the mark that begin with `~` say how the answer is compared: see [`Mode`].

use anyhow::{Context, Result, bail, ensure};

/// Steps on common ground.
pub(super) struct Row {
    pub(super) title: String,
    pub(super) steps: Vec<Step>,
}

/// One step, driven on every engine.
pub(super) struct Step {
    /// File and line, for messages.
    pub(super) place: String,
    /// The step as it is written.
    pub(super) text: String,
    pub(super) action: Action,
    pub(super) modes: Vec<Mode>,
    pub(super) input: Option<String>,
    pub(super) keeps: Option<(String, Option<String>)>,
    pub(super) differences: Vec<Difference>,
}

pub(super) enum Action {
    Command(Vec<String>),
    Request { method: String, path: String, body: Body },
    Look { how: String, path: String },
}

pub(super) enum Body {
    Json(String),
    File(String),
}

/// How an answer is compared, where not by its whole text or its whole JSON with what varies masked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mode {
    /// A table: the names of its columns and the number of its lines.
    Columns,
    /// JSON: the keys and the types of the values.
    Keys,
    /// The exit code or status, and errors.
    Exit,
    /// Lines in any order.
    Sorted,
    /// The lines' numbers do not matter either: only which different lines there are.
    Set,
    /// The client goes on in the background until the row's end, where its answer is compared.
    Background,
    /// The connection is upgraded and then carries raw bytes.
    Hijack,
    /// Debian's client does not know this command or flag: driven only where a newer client is installed.
    Newer,
}

/// What a difference may depend on, in brackets before its part.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Circumstance {
    /// Beside Debian's client.
    Old,
    /// Beside a newer one.
    New,
    /// On cgroup v1.
    V1,
    /// On cgroup v2.
    V2,
    /// On a machine that withholds a capability from root.
    Withheld,
}

/// A listed difference.
pub(super) struct Difference {
    /// `docker` or `berth`: on which of the two clients; both when absent.
    pub(super) client: Option<String>,
    /// Only where this [`Circumstance`] holds.
    pub(super) only: Option<Circumstance>,
    /// `exit`, `stdout`, `stderr`, `status`, `type`, `body`, `file`, or a path below (`body.HostConfig.Init`).
    pub(super) part: String,
    pub(super) why: String,
}

/// A difference that shows at many steps: of one command or endpoint, or of all (`*`).
pub(super) struct Everywhere {
    pub(super) place: String,
    pub(super) subject: String,
    pub(super) difference: Difference,
}

/// Reads the rows of one file.
pub(super) fn rows(file: &str, text: &str) -> Result<Vec<Row>> {
    let mut rows: Vec<Row> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let place = format!("{file}:{}", index + 1);
        if let Some(title) = line.strip_prefix("## ") {
            rows.push(Row { title: title.trim().to_owned(), steps: Vec::new() });
            continue;
        }
        let Some((mark, rest)) = marked(line) else { continue };
        let steps = &mut rows.last_mut().with_context(|| format!("{place}: no row"))?.steps;
        if matches!(mark, '$' | '>' | '?') {
            steps.push(step(mark, rest, &place).with_context(|| place.clone())?);
            continue;
        }
        let step = steps.last_mut().with_context(|| format!("{place}: no step"))?;
        match mark {
            '<' => step.input = Some(format!("{}{rest}\n", step.input.take().unwrap_or_default())),
            '=' => {
                let (name, path) =
                    rest.split_once(' ').map_or((rest, None), |(name, path)| (name, Some(path)));
                step.keeps = Some((name.to_owned(), path.map(str::to_owned)));
            }
            '!' => step.differences.push(difference(rest).with_context(|| place)?),
            other => bail!("{place}: unknown mark {other:?}"),
        }
    }
    Ok(rows)
}

/// Reads the differences that show at many steps: `! subject | part: why`.
pub(super) fn everywhere(file: &str, text: &str) -> Result<Vec<Everywhere>> {
    let lines = text.lines().enumerate().filter_map(|(index, line)| Some((index, marked(line)?.1)));
    lines
        .map(|(index, rest)| {
            let place = format!("{file}:{}", index + 1);
            let (subject, rest) = rest.split_once(" | ").with_context(|| place.clone())?;
            Ok(Everywhere { subject: subject.trim().to_owned(), difference: difference(rest)?, place })
        })
        .collect()
}

fn marked(line: &str) -> Option<(char, &str)> {
    let mark = line.chars().next().filter(|mark| *mark != '#')?;
    Some((mark, line[mark.len_utf8()..].trim()))
}

fn step(mark: char, rest: &str, place: &str) -> Result<Step> {
    let mut modes = Vec::new();
    let mut rest = rest;
    while let Some(word) = rest.strip_prefix('~') {
        let (name, after) = word.split_once(' ').context("a mode and no step")?;
        modes.push(mode(name)?);
        rest = after.trim_start();
    }
    let text = rest.to_owned();
    let action = match mark {
        '$' => Action::Command(words(rest)?),
        '>' => {
            let mut parts = rest.splitn(3, ' ');
            let method = parts.next().unwrap_or_default().to_owned();
            let path = parts.next().context("a request needs a path")?.to_owned();
            let body = parts.next().unwrap_or_default();
            let body = match body.strip_prefix('@') {
                Some(file) => Body::File(file.to_owned()),
                None => Body::Json(body.to_owned()),
            };
            Action::Request { method, path, body }
        }
        _ => {
            let (how, path) = rest.split_once(' ').context("a look at what?")?;
            Action::Look { how: how.to_owned(), path: path.to_owned() }
        }
    };
    Ok(Step {
        place: place.to_owned(),
        text,
        action,
        modes,
        input: None,
        keeps: None,
        differences: Vec::new(),
    })
}

fn mode(name: &str) -> Result<Mode> {
    Ok(match name {
        "columns" => Mode::Columns,
        "keys" => Mode::Keys,
        "exit" => Mode::Exit,
        "sorted" => Mode::Sorted,
        "set" => Mode::Set,
        "background" => Mode::Background,
        "hijack" => Mode::Hijack,
        "newer" => Mode::Newer,
        other => bail!("no mode ~{other}"),
    })
}

fn difference(rest: &str) -> Result<Difference> {
    let (part, why) = rest.split_once(": ").context("a difference needs a part and a reason")?;
    let (only, part) = match part.strip_prefix('[').and_then(|part| part.split_once("] ")) {
        Some((word, part)) => (Some(circumstance(word)?), part),
        None => (None, part),
    };
    let (client, part) = match part.split_once('.') {
        Some((client @ ("docker" | "berth"), part)) => (Some(client.to_owned()), part),
        _ => (None, part),
    };
    ensure!(!why.trim().is_empty(), "a difference needs a reason");
    Ok(Difference { client, only, part: part.to_owned(), why: why.trim().to_owned() })
}

fn circumstance(word: &str) -> Result<Circumstance> {
    Ok(match word {
        "old" => Circumstance::Old,
        "new" => Circumstance::New,
        "v1" => Circumstance::V1,
        "v2" => Circumstance::V2,
        "withheld" => Circumstance::Withheld,
        other => bail!("no circumstance [{other}]"),
    })
}

/// Splits as a shell does: single quotes, double quotes, backslashes outside of single quotes.
fn words(text: &str) -> Result<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(next) = chars.next() {
        match next {
            ' ' => words.extend(word.take()),
            '\'' | '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next().context("a quote is not closed")? {
                        end if end == next => break,
                        '\\' if next == '"' => word.extend(chars.next()),
                        other => word.push(other),
                    }
                }
            }
            '\\' => word.get_or_insert_default().extend(chars.next()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Ok(words)
}

#[test]
fn words_are_split_as_a_shell_does() {
    assert_eq!(words(r#"a 'b c' d"e f"g '' \$x"#).unwrap(), ["a", "b c", "de fg", "", "$x"]);
    assert!(words("'open").is_err());
}

#[test]
fn a_row_is_read() {
    let rows =
        rows("f", "## one\n# note\n$ ~exit run 'a b'\n! berth.stdout: because\n> GET /x {}\n= id .Id\n")
            .unwrap();
    let [ran, asked] = &rows[0].steps[..] else { panic!("two steps") };
    assert_eq!(ran.modes, [Mode::Exit]);
    assert_eq!(ran.differences[0].client.as_deref(), Some("berth"));
    assert!(matches!(&asked.action, Action::Request { path, .. } if path == "/x"));
    assert_eq!(asked.keeps, Some(("id".to_owned(), Some(".Id".to_owned()))));
}
