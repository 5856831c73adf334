//! Environment variables and labels: from flags, from files, from this process's environment.

use std::collections::BTreeMap;
use std::io::Read;

use crate::error::{Error, Result, reason};

/// The largest file of variables or labels.
const FILE_LIMIT: u64 = 16 << 20;

/// Variables of `files`, then of `flags`; a name alone takes its value from here. Where there is
/// none, a file's name is left out.
pub(crate) fn variables(files: &[&str], flags: &[&str]) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for file in files {
        for line in lines(file)? {
            check_name(file, &line)?;
            all.extend(resolve(&line));
        }
    }
    for flag in flags {
        if flag.is_empty() || flag.starts_with('=') {
            return Err(Error::said(format!("invalid environment variable: {flag}")));
        }
        // A name without a value here takes the image's variable away.
        all.push(resolve(flag).unwrap_or_else(|| (*flag).to_owned()));
    }
    Ok(all)
}

/// As a judge for `-e`.
pub(crate) fn check_variable(text: &str) -> Result<(), String> {
    if text.is_empty() || text.starts_with('=') {
        return Err(format!("invalid environment variable: {text}"));
    }
    Ok(())
}

fn resolve(text: &str) -> Option<String> {
    if text.contains('=') {
        return Some(text.to_owned());
    }
    std::env::var(text).ok().map(|value| format!("{text}={value}"))
}

/// Labels of `files`, then of `flags`.
pub(crate) fn labels(files: &[&str], flags: &[&str]) -> Result<BTreeMap<String, String>> {
    let mut all = BTreeMap::new();
    for file in files {
        for line in lines(file)? {
            check_name(file, &line)?;
            insert(&mut all, &line);
        }
    }
    flags.iter().for_each(|flag| insert(&mut all, flag));
    Ok(all)
}

fn insert(all: &mut BTreeMap<String, String>, text: &str) {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    all.insert(key.to_owned(), value.to_owned());
}

/// As a judge for `--label`.
pub(crate) fn check_label(text: &str) -> Result<(), String> {
    if text.starts_with('=') || text.is_empty() {
        return Err(format!("invalid label '{text}': empty name"));
    }
    Ok(())
}

fn check_name(file: &str, line: &str) -> Result<()> {
    let name = line.split('=').next().unwrap_or("");
    if name.is_empty() {
        return Err(Error::said(format!("invalid env file ({file}): no variable name on line '{line}'")));
    }
    if name.contains(char::is_whitespace) {
        return Err(Error::said(format!(
            "invalid env file ({file}): variable '{name}' contains whitespaces"
        )));
    }
    Ok(())
}

/// The lines that say something: no comments, no blank ones; leading blanks are taken off.
fn lines(file: &str) -> Result<Vec<String>> {
    let mut bytes = Vec::new();
    std::fs::File::open(file)
        .and_then(|opened| opened.take(FILE_LIMIT).read_to_end(&mut bytes))
        .map_err(|error| Error::said(format!("open {file}: {}", reason(&error))))?;
    let text = String::from_utf8(bytes)
        .map_err(|_error| Error::said(format!("invalid env file ({file}): invalid utf8 bytes")))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    Ok(text
        .lines()
        .map(str::trim_start)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_first_and_names_alone_are_looked_up() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("env");
        std::fs::write(&file, "# note\n A=1\n\nPATH\nNO_SUCH_VARIABLE_HERE\nB=x y\n").unwrap();
        let file = file.to_str().unwrap();
        let path = format!("PATH={}", std::env::var("PATH").unwrap());
        assert_eq!(variables(&[file], &["A=2"]).unwrap(), ["A=1", &path, "B=x y", "A=2"]);
        assert_eq!(labels(&[file], &["l"]).unwrap()["B"], "x y");
        std::fs::write(file, "a b=1").unwrap();
        assert!(
            variables(&[file], &[]).unwrap_err().to_string().contains("variable 'a b' contains whitespaces")
        );
        let absent = variables(&["/nonexistent"], &[]).unwrap_err().to_string();
        assert_eq!(absent, "open /nonexistent: no such file or directory");
    }
}
