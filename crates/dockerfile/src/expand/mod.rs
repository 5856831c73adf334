//! Words as a shell would read them: quotes and escapes taken out, variables put in ("Environment replacement" of the
//! Dockerfile reference; POSIX shell, 2.2 and 2.6.2).
//!
//! `$name`, `${name}`, and `${name…}` with
//!
//! | modifier | result |
//! |---|---|
//! | `:-word`, `-word` | `word` where the variable is not set (with the colon: or empty) |
//! | `:+word`, `+word` | `word` where it is set (and not empty), else nothing |
//! | `:?word`, `?word` | an error that says `word` where it is not set (or empty) |
//! | `#pattern`, `##pattern` | without the shortest, the longest beginning that matches |
//! | `%pattern`, `%%pattern` | without the shortest, the longest end that matches |
//! | `/pattern/text`, `//pattern/text` | the first match, every match replaced |
//!
//! Which instructions expand what is said at the fields of [`crate::ast`].

mod lexer;
mod pattern;

pub(crate) use lexer::Options;
use lexer::{Lexer, Wanted};

/// What a variable is worth; `None` where it is not set.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Why a word has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to process {word:?}: {reason}")]
pub struct ExpandError {
    /// The word as written.
    pub word: String,
    /// What is wrong with it, or what `${name:?word}` says.
    pub reason: String,
}

/// One word: spaces stay where they are.
///
/// # Errors
/// Quotes or braces that don't close, an unknown modifier, `:?` of an unset variable, a result beyond
/// [`crate::limits::EXPANDED`].
pub fn word(text: &str, escape: char, env: Lookup<'_>) -> Result<String, ExpandError> {
    run(text, escape, env, Options::default()).map(|result| result.text)
}

/// Several words: spaces that are neither quoted nor escaped separate them, also those that a variable brings.
/// An empty word is none, quoted or not.
///
/// # Errors
/// As [`word`].
pub fn words(text: &str, escape: char, env: Lookup<'_>) -> Result<Vec<String>, ExpandError> {
    run(text, escape, env, Options::default()).map(|result| result.words)
}

/// The text of a here-document whose delimiter is not quoted: variables are put in and `\` escapes, but quotes are
/// text. The escape character is `\` whatever the directive says, as in BuildKit.
///
/// # Errors
/// As [`word`].
pub fn body(text: &str, env: Lookup<'_>) -> Result<String, ExpandError> {
    run(text, '\\', env, Options { quotes: false, ..Options::default() }).map(|result| result.text)
}

/// The variables that a word asks for in the order of their first appearance, those that it is content not to find
/// (`${name:-word}`, `${name:+word}`) left out.
pub fn references(text: &str, escape: char) -> Vec<String> {
    Lexer::new(text, escape, &|_| None, Options::default()).needed()
}

pub(crate) fn run(
    text: &str,
    escape: char,
    env: Lookup<'_>,
    options: Options,
) -> Result<Wanted, ExpandError> {
    Lexer::new(text, escape, env, options)
        .run()
        .map_err(|reason| ExpandError { word: text.to_owned(), reason })
}

#[cfg(test)]
mod tests;
