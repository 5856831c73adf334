//! One pattern.

use super::IgnoreError;
use crate::glob::{self, Machine, Token};

#[derive(Clone, Debug)]
pub(super) struct Pattern {
    /// It begins with `!`.
    pub(super) exception: bool,
    /// All of it where it has no wildcard.
    literal: Option<String>,
    machine: Machine,
}

impl Pattern {
    /// Takes a cleaned pattern.
    pub(super) fn parse(text: &str) -> Result<Self, IgnoreError> {
        let (exception, body) = match text.strip_prefix('!') {
            Some("") => return Err(IgnoreError::NothingExcepted),
            Some(body) => (true, body),
            None => (false, text),
        };
        let syntax = |_| IgnoreError::Syntax(text.to_owned());
        let tokens = tokens(body).map_err(syntax)?;
        let literal = tokens
            .iter()
            .map(|token| if let Token::Literal(character) = token { Some(*character) } else { None })
            .collect();
        Ok(Self { exception, literal, machine: Machine(tokens) })
    }

    pub(super) fn matches(&self, path: &str) -> bool {
        match &self.literal {
            Some(literal) => literal == path,
            None => self.machine.run(path).accepts(),
        }
    }

    pub(super) fn matches_or_parent(&self, path: &str) -> bool {
        self.matches(path) || path.match_indices('/').any(|(end, _)| end > 0 && self.matches(&path[..end]))
    }

    /// Can a path match that begins so and goes on?
    pub(super) fn may_match_below(&self, directory: &str) -> bool {
        match &self.literal {
            Some(literal) => literal.len() > directory.len() && literal.starts_with(directory),
            None => self.machine.run(directory).alive(),
        }
    }
}

fn tokens(body: &str) -> Result<Vec<Token>, glob::BadPattern> {
    let mut tokens = Vec::new();
    let mut characters = body.chars();
    while let Some(character) = characters.next() {
        tokens.push(match character {
            '*' if characters.as_str().starts_with('*') => {
                characters.next();
                let slash = characters.as_str().starts_with('/');
                if slash {
                    characters.next();
                }
                let (first, rest) = (tokens.is_empty(), characters.as_str());
                // `**name` at the beginning is any path that ends so, but only where nothing else is special
                let ending = first && !slash && !rest.contains(['*', '?', '[', ']', '\\']);
                if rest.is_empty() || ending { Token::Rest } else { Token::Directories }
            }
            '*' => Token::Star,
            '?' => Token::Any,
            '[' => glob::class(&mut characters)?,
            '\\' => Token::Literal(characters.next().ok_or(glob::BadPattern)?),
            other => Token::Literal(other),
        });
    }
    Ok(tokens)
}
