//! The rules of `--ci`, and their verdicts as a table.

use std::io::{ErrorKind, Read};

use explore::Image;
use explore::rules::{MAX_FILE, Rules};

use crate::command::Context;
use crate::error::{Error, Result, reason};
use crate::flag::Matches;
use crate::format::table;

/// Where dive looks.
const DEFAULT_FILE: &str = ".dive-ci";
const FLAGS: [&str; 3] = ["lowest-efficiency", "highest-wasted-bytes", "highest-user-wasted-percent"];

/// The rules that were asked for: the file's, and over them those of the flags. A file or a threshold asks, too.
pub(super) fn rules(matches: &Matches) -> Result<Option<Rules>> {
    let given = FLAGS.iter().any(|flag| matches.has(flag));
    if !matches.bool("ci") && !matches.has("ci-config") && !given {
        return Ok(None);
    }
    let mut rules = Rules::default();
    if let Some((path, text)) = file(matches.given("ci-config"))? {
        rules = rules.read(&text).map_err(|error| Error::said(format!("{path}: {error}")))?;
    }
    for flag in FLAGS {
        if let Some(value) = matches.given(flag) {
            rules.set(flag, value).map_err(|reason| Error::said(format!("--{reason}")))?;
        }
    }
    Ok(Some(rules))
}

fn file(named: Option<&str>) -> Result<Option<(&str, String)>> {
    let path = named.unwrap_or(DEFAULT_FILE);
    let refused = |why: String| Err(Error::said(format!("{path}: {why}")));
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if named.is_none() && error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return refused(reason(&error)),
    };
    let mut text = String::new();
    match file.take(MAX_FILE + 1).read_to_string(&mut text) {
        Ok(count) if count as u64 > MAX_FILE => refused(format!("larger than the limit of {MAX_FILE} bytes")),
        Ok(_) => Ok(Some((path, text))),
        Err(error) => refused(reason(&error)),
    }
}

/// Prints the verdicts (beside JSON to standard error); a broken rule is exit code 1.
pub(super) fn judge(context: &Context<'_>, image: &Image, rules: &Rules, beside_json: bool) -> Result<()> {
    let verdicts = rules.judge(image);
    let mut text = "RESULT\tRULE\tMEASURED\tWANTED\n".to_owned();
    for verdict in &verdicts {
        let result = match verdict.passed {
            Some(true) => "PASS",
            Some(false) => "FAIL",
            None => "SKIP",
        };
        text.push_str(&format!("{result}\t{}\t{}\t{}\n", verdict.rule, verdict.measured, verdict.wanted));
    }
    let text = table::align(&text, table::LIST);
    if beside_json {
        context.out.error_bytes(text.as_bytes());
    } else {
        context.out.text(&text)?;
    }
    if verdicts.iter().any(|verdict| verdict.passed == Some(false)) { Err(Error::Exit(1)) } else { Ok(()) }
}
