//! `--name[=value]` between a keyword and its arguments.

use super::piece::Piece;
use crate::error::Fault;
use crate::span::Word;
use crate::suggest::did_you_mean;

/// A flag as written, quotes and escapes taken out.
pub(super) struct Flag {
    name: String,
    value: Option<String>,
    word: Word,
}

/// Cuts the flags off; gives them and the rest, trimmed. `\` escapes in flags, whatever the directive says.
pub(super) fn cut(rest: Piece<'_>) -> (Vec<Flag>, Piece<'_>) {
    let mut flags = Vec::new();
    let mut rest = rest.trim();
    while rest.text.starts_with("--") {
        let (text, end) = unquoted(rest.text);
        let word = rest.cut(0, end).as_word(text);
        rest = rest.cut(end, rest.text.len()).trim();
        if word.text == "--" {
            break;
        }
        let body = word.text.get(2..).unwrap_or_default();
        let (name, value) = match body.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (body.to_owned(), None),
        };
        flags.push(Flag { name, value, word });
    }
    (flags, rest)
}

/// The first word without quotes and escapes, and where it ends.
fn unquoted(text: &str) -> (String, usize) {
    let mut word = String::new();
    let mut quote = None;
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match quote {
            None if character.is_whitespace() => return (word, at),
            None if matches!(character, '\'' | '"') => quote = Some(character),
            Some(open) if character == open => quote = None,
            _ if character == '\\' => word.extend(characters.next().map(|(_, escaped)| escaped)),
            _ => word.push(character),
        }
    }
    (word, text.len())
}

/// The flags of one instruction, taken one by one.
pub(super) struct Flags {
    flags: Vec<Flag>,
    known: Vec<&'static str>,
}

impl Flags {
    pub(super) fn new(flags: Vec<Flag>) -> Self {
        Self { flags, known: Vec::new() }
    }

    /// Every value of a flag that may come more than once.
    pub(super) fn values(&mut self, name: &'static str) -> Result<Vec<Word>, Fault> {
        self.known.push(name);
        let (found, rest) = std::mem::take(&mut self.flags).into_iter().partition(|flag| flag.name == name);
        self.flags = rest;
        let found: Vec<Flag> = found;
        found
            .into_iter()
            .map(|Flag { value, word, .. }| match value {
                Some(text) => Ok(Word { text, span: word.span }),
                None => Err(Fault::new(format!("Missing a value on flag: {name}")).at(word.span)),
            })
            .collect()
    }

    /// The value of a flag that may come once.
    pub(super) fn value(&mut self, name: &'static str) -> Result<Option<Word>, Fault> {
        self.known.push(name);
        let Some(flag) = self.once(name)? else {
            return Ok(None);
        };
        match flag.value {
            Some(text) => Ok(Some(Word { text, span: flag.word.span })),
            None => Err(Fault::new(format!("Missing a value on flag: {name}")).at(flag.word.span)),
        }
    }

    /// A flag that is true by being there.
    pub(super) fn boolean(&mut self, name: &'static str) -> Result<Option<bool>, Fault> {
        self.known.push(name);
        let Some(flag) = self.once(name)? else {
            return Ok(None);
        };
        match flag.value.as_deref().map(str::to_ascii_lowercase).as_deref() {
            None | Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some("") => Err(Fault::new(format!("Missing a value on flag: {name}")).at(flag.word.span)),
            Some(_) => {
                let value = flag.value.unwrap_or_default();
                let message = format!("Expecting boolean value for flag {name}, not: {value}");
                Err(Fault::new(message).at(flag.word.span))
            }
        }
    }

    fn once(&mut self, name: &'static str) -> Result<Option<Flag>, Fault> {
        let Some(index) = self.flags.iter().position(|flag| flag.name == name) else {
            return Ok(None);
        };
        let flag = self.flags.remove(index);
        match self.flags.iter().find(|flag| flag.name == name) {
            Some(again) => Err(Fault::new(format!("Duplicate flag specified: {name}")).at(again.word.span)),
            None => Ok(Some(flag)),
        }
    }

    /// Whatever was not taken is unknown.
    pub(super) fn finish(self) -> Result<(), Fault> {
        match self.flags.first() {
            None => Ok(()),
            Some(flag) => {
                let hint = did_you_mean(&flag.name, self.known.iter().copied())
                    .map(|hint| hint.replacen("mean ", "mean --", 1));
                Err(Fault::new(format!("Unknown flag: {}", flag.name)).at(flag.word.span).hint(hint))
            }
        }
    }
}
