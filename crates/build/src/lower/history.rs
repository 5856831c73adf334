//! An image's history, in either builder's words.

use jiff::Timestamp;
use oci::History;

use super::Flavor;

/// One line.
pub(super) fn entry(
    created_by: String,
    at: Timestamp,
    author: Option<String>,
    empty_layer: bool,
    flavor: Flavor,
) -> History {
    let comment = (flavor == Flavor::Buildkit).then(|| "buildkit.dockerfile.v0".to_owned());
    let author = author.filter(|_| flavor == Flavor::Classic);
    History { created: Some(at.to_string()), author, created_by: Some(created_by), comment, empty_layer }
}

/// How many layers a history tells of.
pub(super) fn layers(history: &[History]) -> usize {
    history.iter().filter(|entry| !entry.empty_layer).count()
}

/// What is said of an instruction that only changes the configuration.
pub(super) fn nop(shell: &[String], what: &str, flavor: Flavor) -> String {
    match flavor {
        Flavor::Classic => format!("{} #(nop)  {what}", shell.join(" ")),
        Flavor::Buildkit => what.to_owned(),
    }
}

/// Go's `%q` for a list of words.
pub(super) fn quoted(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
    format!("[{}]", words.join(" "))
}
