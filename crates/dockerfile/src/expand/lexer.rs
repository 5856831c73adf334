//! The reader of words.

use super::Lookup;
use super::pattern::{Pattern, Take};
use crate::limits;

/// What stays in a word.
#[derive(Clone, Copy)]
pub(crate) struct Options {
    /// Quotes are syntax; else they are text.
    pub(crate) quotes: bool,
    /// Quotes are left in.
    pub(crate) raw_quotes: bool,
    /// Escape characters are left in.
    pub(crate) raw_escapes: bool,
    /// Variables that are not set are left in as they are written.
    pub(crate) keep_unset: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { quotes: true, raw_quotes: false, raw_escapes: false, keep_unset: false }
    }
}

/// A text read as one word and as several.
#[derive(Default)]
pub(crate) struct Wanted {
    pub(crate) text: String,
    pub(crate) words: Vec<String>,
}

/// One reading of one text.
pub(super) struct Lexer<'a> {
    rest: std::str::Chars<'a>,
    escape: char,
    env: Lookup<'a>,
    options: Options,
    needed: Vec<String>,
    depth: usize,
}

/// A word and the words that came before it.
#[derive(Default)]
struct Words {
    done: Vec<String>,
    word: String,
    inside: bool,
}

impl Words {
    fn add(&mut self, character: char) {
        if !character.is_whitespace() {
            self.add_raw(character);
        } else if self.inside && !self.word.is_empty() {
            self.done.push(std::mem::take(&mut self.word));
            self.inside = false;
        }
    }

    fn add_raw(&mut self, character: char) {
        self.word.push(character);
        self.inside = true;
    }

    fn finish(mut self) -> Vec<String> {
        if !self.word.is_empty() {
            self.done.push(self.word);
        }
        self.done
    }
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str, escape: char, env: Lookup<'a>, options: Options) -> Self {
        Self { rest: text.chars(), escape, env, options, needed: Vec::new(), depth: 0 }
    }

    pub(super) fn run(mut self) -> Result<Wanted, String> {
        self.until(None, self.options.raw_escapes)
    }

    pub(super) fn needed(mut self) -> Vec<String> {
        // what is found before an error is still asked for
        let _ = self.until(None, false);
        self.needed
    }

    fn peek(&self) -> Option<char> {
        self.rest.clone().next()
    }

    /// Reads up to `stop`, which is consumed, or to the end.
    fn until(&mut self, stop: Option<char>, raw_escapes: bool) -> Result<Wanted, String> {
        self.depth += 1;
        if self.depth > limits::NESTING {
            return Err(format!("nested deeper than {} levels", limits::NESTING));
        }
        let outer = std::mem::replace(&mut self.options.raw_escapes, raw_escapes);
        let result = self.pieces(stop);
        self.options.raw_escapes = outer;
        self.depth -= 1;
        result
    }

    fn pieces(&mut self, stop: Option<char>) -> Result<Wanted, String> {
        let mut text = String::new();
        let mut words = Words::default();
        while let Some(character) = self.peek() {
            if Some(character) == stop {
                self.rest.next();
                return Ok(Wanted { text, words: words.finish() });
            }
            match character {
                '$' => {
                    let value = self.dollar()?;
                    text.push_str(&value);
                    value.chars().for_each(|character| words.add(character));
                }
                '\'' | '"' if self.options.quotes => {
                    let value = if character == '"' { self.double_quoted()? } else { self.single_quoted()? };
                    text.push_str(&value);
                    words.word.push_str(&value);
                    words.inside = true;
                }
                _ => {
                    self.rest.next();
                    self.plain(character, &mut text, &mut words);
                }
            }
            if text.len() > limits::EXPANDED {
                return Err(format!("comes to more than {} bytes", limits::EXPANDED));
            }
        }
        match stop {
            Some(stop) => Err(format!("unexpected end of statement while looking for matching {stop}")),
            None => Ok(Wanted { text, words: words.finish() }),
        }
    }

    fn plain(&mut self, character: char, text: &mut String, words: &mut Words) {
        if character != self.escape {
            words.add(character);
            text.push(character);
            return;
        }
        if self.options.raw_escapes {
            words.add_raw(character);
            text.push(character);
        }
        // one at the very end escapes nothing and is dropped
        if let Some(escaped) = self.rest.next() {
            words.add_raw(escaped);
            text.push(escaped);
        }
    }

    fn single_quoted(&mut self) -> Result<String, String> {
        let mut text = String::new();
        self.quote(&mut text);
        loop {
            match self.peek() {
                None => {
                    return Err("unexpected end of statement while looking for matching single-quote".into());
                }
                Some('\'') => {
                    self.quote(&mut text);
                    return Ok(text);
                }
                Some(_) => text.extend(self.rest.next()),
            }
        }
    }

    fn double_quoted(&mut self) -> Result<String, String> {
        let mut text = String::new();
        self.quote(&mut text);
        loop {
            match self.peek() {
                None => {
                    return Err("unexpected end of statement while looking for matching double-quote".into());
                }
                Some('"') => {
                    self.quote(&mut text);
                    return Ok(text);
                }
                Some('$') => text.push_str(&self.dollar()?),
                Some(character) if character == self.escape => {
                    self.rest.next();
                    if self.options.raw_escapes {
                        text.push(character);
                    }
                    match self.peek() {
                        None => {}
                        Some(special) if special == '"' || special == '$' || special == self.escape => {
                            text.extend(self.rest.next());
                        }
                        // it is text before anything else
                        Some(_) => text.push(character),
                    }
                }
                Some(_) => text.extend(self.rest.next()),
            }
        }
    }

    /// Consumes a quote.
    fn quote(&mut self, text: &mut String) {
        let quote = self.rest.next();
        if self.options.raw_quotes {
            text.extend(quote);
        }
    }

    fn dollar(&mut self) -> Result<String, String> {
        self.rest.next();
        if self.peek() != Some('{') {
            let name = self.name();
            if name.is_empty() {
                return Ok("$".to_owned());
            }
            let written = format!("${name}");
            return Ok(self.plain_value(&name, written));
        }
        self.rest.next();
        match self.peek() {
            None => return Err("syntax error: missing '}'".into()),
            Some('{' | '}' | ':') => return Err("syntax error: bad substitution".into()),
            Some(_) => {}
        }
        let name = self.name();
        match self.rest.next() {
            Some('}') => {
                let written = format!("${{{name}}}");
                Ok(self.plain_value(&name, written))
            }
            Some(':') => {
                let modifier = self.rest.next();
                self.modified(&name, modifier, true)
            }
            Some('/') => self.replaced(&name),
            modifier => self.modified(&name, modifier, false),
        }
    }

    /// The value of a variable without modifiers; nothing, or what was written, where it is not set.
    fn plain_value(&mut self, name: &str, written: String) -> String {
        self.need(name);
        match (self.env)(name) {
            Some(value) => value,
            None if self.options.keep_unset => written,
            None => String::new(),
        }
    }

    fn need(&mut self, name: &str) {
        if !self.needed.iter().any(|known| known == name) {
            self.needed.push(name.to_owned());
        }
    }

    /// What follows up to the closing brace.
    fn operand(&mut self, stop: char, raw_escapes: bool) -> Result<String, String> {
        self.until(Some(stop), raw_escapes).map(|read| read.text).map_err(|reason| {
            match (self.peek(), stop) {
                (None, '}') => "syntax error: missing '}'".to_owned(),
                (None, _) => "syntax error: missing '/' in ${}".to_owned(),
                _ => reason,
            }
        })
    }

    fn modified(&mut self, name: &str, modifier: Option<char>, colon: bool) -> Result<String, String> {
        if modifier.is_none() {
            return Err("syntax error: missing '}'".into());
        }
        let sign: String = colon.then_some(':').into_iter().chain(modifier).collect();
        let Some(modifier @ ('-' | '+' | '?' | '#' | '%')) = modifier else {
            return Err(format!("unsupported modifier ({sign}) in substitution"));
        };
        let operand = self.operand('}', matches!(modifier, '#' | '%'))?;
        let value = (self.env)(name);
        if value.is_none() && self.options.keep_unset {
            return Ok(format!("${{{name}{sign}{operand}}}"));
        }
        let set = value.as_ref().is_some_and(|value| !(colon && value.is_empty()));
        let value = || value.clone().unwrap_or_default();
        match modifier {
            '-' => Ok(if set { value() } else { operand }),
            '+' => Ok(if set { operand } else { String::new() }),
            '?' if set => Ok(value()),
            '?' if !operand.is_empty() => Err(format!("{name}: {operand}")),
            '?' if value().is_empty() && (self.env)(name).is_some() => {
                Err(format!("{name}: is not allowed to be empty"))
            }
            '?' => Err(format!("{name}: is not allowed to be unset")),
            end => {
                self.need(name);
                let (take, text) = match operand.strip_prefix(end) {
                    Some(text) => (Take::Longest, text),
                    None => (Take::Shortest, operand.as_str()),
                };
                let pattern = parse_pattern(text)?;
                Ok(if end == '#' {
                    pattern.trim_prefix(&value(), take)
                } else {
                    pattern.trim_suffix(&value(), take)
                })
            }
        }
    }

    fn replaced(&mut self, name: &str) -> Result<String, String> {
        let all = self.peek() == Some('/');
        if all {
            self.rest.next();
        }
        let pattern = self.operand('/', true)?;
        let by = self.operand('}', true)?;
        self.need(name);
        match (self.env)(name) {
            None if self.options.keep_unset => {
                Ok(format!("${{{name}/{}{pattern}/{by}}}", if all { "/" } else { "" }))
            }
            value => {
                let value = value.unwrap_or_default();
                let replaced = parse_pattern(&pattern)?.replace(&value, &by, all);
                if replaced.len() > limits::EXPANDED {
                    return Err(format!("comes to more than {} bytes", limits::EXPANDED));
                }
                Ok(replaced)
            }
        }
    }

    /// A name, the digits of a positional parameter, or one of the shell's special ones.
    fn name(&mut self) -> String {
        let mut name = String::new();
        let digits = self.peek().is_some_and(char::is_numeric);
        while let Some(character) = self.peek() {
            if name.is_empty() && matches!(character, '@' | '*' | '#' | '?' | '-' | '$' | '!') {
                self.rest.next();
                return character.to_string();
            }
            let belongs = if digits {
                character.is_numeric()
            } else {
                character.is_alphabetic() || character.is_numeric() || character == '_'
            };
            if !belongs {
                break;
            }
            self.rest.next();
            name.push(character);
        }
        name
    }
}

fn parse_pattern(text: &str) -> Result<Pattern, String> {
    Pattern::parse(text).map_err(|reason| format!("invalid pattern ({text}) in substitution: {reason}"))
}
