//! Bytes to [`Dockerfile`].
//!
//! An instruction is read in the steps of Docker's own parser, whose quirks are the language: lines are joined, the
//! keyword and its flags are cut off, the rest is split by the instruction's own rule (words, JSON, pairs, all of it),
//! here-documents are looked for in the whole line, and the parts become a value.

mod flags;
mod health;
mod heredoc;
mod instruction;
mod json;
mod pairs;
mod piece;
mod run;
mod stage;
mod transfer;
mod words;

pub(crate) use heredoc::is_heredoc;

use crate::ast::{Dockerfile, Instruction};
use crate::error::{Error, Fault, Stage as ErrorStage};
use crate::limits;
use crate::lines::{Line, Reader};
use crate::span::{Located, Location, Span, Word};
use instruction::Parsed;

impl Dockerfile {
    /// Reads a Dockerfile.
    ///
    /// # Errors
    /// Whatever is wrong with it, the first fault only; or one of [`crate::limits`] is exceeded.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > limits::FILE {
            let message = format!("the Dockerfile is larger than {} bytes", limits::FILE);
            return Err(Error::new("", ErrorStage::Syntax, 1, Fault::new(message), Span::default()));
        }
        Parser::new(String::from_utf8_lossy(bytes).into_owned()).run()
    }
}

/// Reads what `ONBUILD` has left in an image's configuration: one instruction that may be a trigger.
///
/// # Errors
/// As [`Dockerfile::parse`]; the text is none, more than one, or one that is no trigger.
pub fn trigger(expression: &str) -> Result<Located<Instruction>, Error> {
    if expression.len() > limits::FILE {
        let message = format!("the trigger is larger than {} bytes", limits::FILE);
        return Err(Error::new("", ErrorStage::Syntax, 1, Fault::new(message), Span::default()));
    }
    let mut parser = Parser::new(expression.to_owned());
    let fault = |source: &str, line, whole, fault| Error::new(source, ErrorStage::File, line, fault, whole);
    let (parsed, at) = match parser.next()? {
        Some(found) => found,
        None => return Err(fault(expression, 1, Span::default(), Fault::new("file with no instructions"))),
    };
    let instruction = match parsed {
        Parsed::From(_) => {
            let refused = Fault::new("FROM isn't allowed as an ONBUILD trigger");
            return Err(fault(expression, at.first_line, at.span, refused));
        }
        Parsed::Instruction(instruction) => instruction,
    };
    instruction::check_trigger(instruction.name())
        .map_err(|refused| fault(expression, at.first_line, at.span, refused))?;
    if let Some((_, second)) = parser.next()? {
        let refused = Fault::new("onbuild trigger should be a single expression");
        return Err(fault(expression, second.first_line, second.span, refused));
    }
    Ok(Located { node: instruction, at })
}

/// What is known of the file beyond the instruction at hand.
struct Parser {
    source: String,
    at: usize,
    number: usize,
    result: Dockerfile,
    instructions: usize,
    directives: crate::directive::Reader,
}

impl Parser {
    fn new(source: String) -> Self {
        Self {
            source,
            at: 0,
            number: 0,
            result: Dockerfile::default(),
            instructions: 0,
            directives: crate::directive::Reader::default(),
        }
    }

    fn run(mut self) -> Result<Dockerfile, Error> {
        while let Some((parsed, at)) = self.next()? {
            let (line, whole) = (at.first_line, at.span);
            let added = self.add(parsed, at);
            added.map_err(|(stage, fault)| self.error(stage, line, fault, whole))?;
        }
        if self.instructions == 0 {
            let message = Fault::new("file with no instructions");
            return Err(self.error(ErrorStage::Syntax, self.number.max(1), message, Span::default()));
        }
        if self.result.stages.is_empty() {
            let hint = Some("FROM is missing".to_owned());
            let fault = Fault::new("dockerfile contains no stages to build").hint(hint);
            return Err(self.error(ErrorStage::File, self.number, fault, Span::default()));
        }
        self.result.directives = self.directives.directives;
        self.result.source = self.source;
        Ok(self.result)
    }

    fn error(&self, stage: ErrorStage, line: usize, fault: Fault, whole: Span) -> Error {
        Error::new(&self.source, stage, line, fault, whole)
    }

    /// The next instruction and its place.
    fn next(&mut self) -> Result<Option<(Parsed, Location)>, Error> {
        let source = std::mem::take(&mut self.source);
        let mut reader = Reader::resume(&source, self.at, self.number, std::mem::take(&mut self.directives));
        let found = self.read(&mut reader);
        (self.at, self.number) = (reader.position(), reader.number);
        self.directives = reader.directives;
        let found =
            found.map_err(|(stage, line, fault, whole)| Error::new(&source, stage, line, fault, whole));
        self.source = source;
        found
    }

    #[expect(clippy::type_complexity, reason = "an error before the source is at hand")]
    fn read(
        &mut self,
        reader: &mut Reader<'_>,
    ) -> Result<Option<(Parsed, Location)>, (ErrorStage, usize, Fault, Span)> {
        let syntax = |number: usize, fault, whole| (ErrorStage::Syntax, number, fault, whole);
        let line = reader.line();
        let Some(mut line) = line.map_err(|fault| syntax(reader.number, fault, Span::default()))? else {
            return Ok(None);
        };
        let whole = line.whole();
        let (first, escape) = (line.first, reader.directives.directives.escape);
        self.instructions += 1;
        if self.instructions > limits::INSTRUCTIONS {
            let fault = Fault::new(format!("more than {} instructions", limits::INSTRUCTIONS));
            return Err(syntax(first, fault, whole));
        }
        let mut heredocs = heredoc::find(&line).map_err(|fault| syntax(first, fault, whole))?;
        let split = instruction::split(&line);
        let mut end = None;
        if split.takes_heredocs() {
            end = heredoc::read(reader, &mut heredocs).map_err(|fault| syntax(first, fault, whole))?;
        } else {
            heredocs.clear();
        }
        let keyword = split.keyword.word();
        let parsed = split
            .parse(&line, escape, heredocs)
            .map_err(|fault| (ErrorStage::Instruction, first, fault, whole))?;
        self.result.empty_continuations.append(&mut line.empty);
        (line.last, line.end) = end.unwrap_or((line.last, line.end));
        let at = location(&mut line, keyword);
        Ok(Some((parsed, at)))
    }

    fn add(&mut self, parsed: Parsed, at: Location) -> Result<(), (ErrorStage, Fault)> {
        match parsed {
            Parsed::From(stage) => {
                if self.result.stages.len() == limits::STAGES {
                    let fault = Fault::new(format!("more than {} stages", limits::STAGES));
                    return Err((ErrorStage::Syntax, fault));
                }
                self.result.stages.push(crate::ast::Stage { at, ..stage });
            }
            Parsed::Instruction(node) => match (self.result.stages.last_mut(), node) {
                (Some(stage), node) => stage.instructions.push(Located { node, at }),
                (None, Instruction::Arg(node)) => self.result.args.push(Located { node, at }),
                (None, _) => {
                    let hint = Some("FROM comes first".to_owned());
                    let fault = Fault::new("no build stage in current context").hint(hint);
                    return Err((ErrorStage::File, fault.at(at.keyword.span)));
                }
            },
        }
        Ok(())
    }
}

fn location(line: &mut Line, keyword: Word) -> Location {
    Location {
        span: line.whole(),
        first_line: line.first,
        last_line: line.last,
        keyword,
        original: line.text.trim().to_owned(),
        comments: std::mem::take(&mut line.comments),
    }
}

#[cfg(test)]
mod tests;
