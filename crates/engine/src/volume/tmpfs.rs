//! Options of a tmpfs: Docker's defaults under what was asked for, of each kind the last word.

use crate::container::TmpfsOptions;
use crate::error::{Error, Result};

const DEFAULTS: [&str; 4] = ["noexec", "nosuid", "nodev", "rprivate"];

/// Words that exclude each other, and the attributes that a tmpfs takes.
const FLAGS: &[&[&str]] = &[
    &["ro", "rw"],
    &["suid", "nosuid"],
    &["dev", "nodev"],
    &["exec", "noexec"],
    &["sync", "async"],
    &["dirsync"],
    &["atime", "noatime"],
    &["diratime", "nodiratime"],
    &["relatime", "norelatime"],
    &["strictatime", "nostrictatime"],
    &["private", "rprivate", "shared", "rshared", "slave", "rslave", "unbindable", "runbindable"],
];

const DATA: [&str; 7] = ["size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol"];

/// The words of a mount for `--tmpfs PATH:options`.
///
/// # Errors
/// Docker's `invalid tmpfs option`.
pub(crate) fn merge(options: &str) -> Result<Vec<String>> {
    let mut merged: Vec<(&str, &str)> = Vec::new();
    let asked = options.split(',').filter(|_| !options.is_empty());
    for word in DEFAULTS.into_iter().chain(asked) {
        if word == "defaults" {
            continue;
        }
        let kind = kind(word).ok_or_else(|| {
            let parts: Vec<_> = word.splitn(2, '=').map(|part| format!("{part:?}")).collect();
            Error::bad_parameter(format!("invalid tmpfs option [{}]", parts.join(" ")))
        })?;
        merged.retain(|(have, _)| *have != kind);
        merged.push((kind, word));
    }
    Ok(merged.into_iter().map(|(_, word)| word.to_owned()).collect())
}

/// What a word is about.
fn kind(word: &str) -> Option<&str> {
    match word.split_once('=') {
        Some((key, _)) => DATA.contains(&key).then_some(key),
        None => FLAGS.iter().find(|group| group.contains(&word)).and_then(|group| group.first().copied()),
    }
}

/// The options of `--mount type=tmpfs`, with commas between.
///
/// # Errors
/// Docker's sentence about the option that is none.
pub(super) fn of_mount(options: &TmpfsOptions, read_only: bool) -> Result<String> {
    let mut words = Vec::new();
    if read_only {
        words.push("ro".to_owned());
    }
    if options.mode != 0 {
        words.push(format!("mode={:o}", options.mode));
    }
    if options.size_bytes < 0 {
        return Err(Error::bad_parameter(format!("invalid tmpfs size: {}", options.size_bytes)));
    }
    if options.size_bytes != 0 {
        words.push(format!("size={}", options.size_bytes));
    }
    for option in &options.options {
        match &option[..] {
            [word] if word == "exec" || word == "noexec" => words.push(word.clone()),
            [word] | [word, _] => return Err(Error::bad_parameter(format!("invalid option: {word}"))),
            _ => return Err(Error::bad_parameter("invalid option array length")),
        }
    }
    Ok(words.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_of_a_kind_counts() {
        assert_eq!(merge("").unwrap(), DEFAULTS);
        assert_eq!(
            merge("size=1m,exec,size=2m,defaults,rslave").unwrap(),
            ["nosuid", "nodev", "exec", "size=2m", "rslave"]
        );
        assert_eq!(merge("foo").unwrap_err().to_string(), "invalid tmpfs option [\"foo\"]");
        assert_eq!(merge("a=b=c").unwrap_err().to_string(), "invalid tmpfs option [\"a\" \"b=c\"]");
        assert!(merge("ro,").is_err());
    }

    #[test]
    fn options_of_a_mount() {
        let options = |words: &[&[&str]]| TmpfsOptions {
            size_bytes: 64,
            mode: 0o1770,
            options: words
                .iter()
                .map(|words| words.iter().map(|word| (*word).to_owned()).collect())
                .collect(),
        };
        assert_eq!(of_mount(&options(&[&["exec"]]), true).unwrap(), "ro,mode=1770,size=64,exec");
        assert_eq!(
            of_mount(&options(&[&["uid", "1"]]), false).unwrap_err().to_string(),
            "invalid option: uid"
        );
        assert!(of_mount(&options(&[&[]]), false).is_err());
    }
}
