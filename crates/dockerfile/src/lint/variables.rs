//! Variables that nobody has set.

use super::facts::{self, Scope};
use super::{Known, Rule, Warnings};
use crate::ast::{Dockerfile, Instruction, Source, Stage, Transfer};
use crate::span::Word;
use crate::{Location, expand, predefined};

/// What is set in every container that says nothing else.
const PATH: &str = "PATH";

pub(super) fn check(file: &Dockerfile, known: &Known<'_>, warnings: &mut Warnings) {
    let global = facts::global(file, Some(known.arguments));
    let mut ends: Vec<Option<Scope>> = Vec::new();
    for (index, stage) in file.stages.iter().enumerate() {
        let mut scope = start(file, stage, index, &global, &ends, known);
        for one in &stage.instructions {
            if let Some(scope) = &scope {
                for word in words(&one.node) {
                    undefined(word, &one.at, scope, file.directives.escape, warnings);
                }
            }
            if let Some(scope) = &mut scope {
                apply(&one.node, scope, &global, known, file.directives.escape);
            }
        }
        ends.push(scope);
    }
}

/// What is set when a stage begins; nothing where its base is not known.
fn start(
    file: &Dockerfile,
    stage: &Stage,
    index: usize,
    global: &Scope,
    ends: &[Option<Scope>],
    known: &Known<'_>,
) -> Option<Scope> {
    let base = global.expand(&stage.base, file.directives.escape);
    let lower = base.to_lowercase();
    let parent = file.stages[..index].iter().rposition(|other| other.name.as_deref() == Some(&*lower));
    if let Some(parent) = parent {
        return ends.get(parent).cloned().flatten();
    }
    let mut scope = Scope::default();
    scope.set(PATH, "");
    if base != "scratch" {
        for variable in known.environment.and_then(|environment| environment(&base))? {
            let (name, value) = variable.split_once('=').unwrap_or((&variable, ""));
            scope.set(name, value);
        }
    }
    Some(scope)
}

/// The words of an instruction that expand.
fn words(instruction: &Instruction) -> Vec<&Word> {
    match instruction {
        Instruction::Copy(copy) => transfer_words(&copy.transfer),
        Instruction::Add(add) => transfer_words(&add.transfer).into_iter().chain(&add.checksum).collect(),
        Instruction::Arg(arguments) => {
            arguments.iter().filter_map(|argument| argument.default.as_ref()).collect()
        }
        Instruction::Env(pairs) | Instruction::Label(pairs) => {
            pairs.iter().flat_map(|pair| [&pair.name, &pair.value]).collect()
        }
        Instruction::Expose(words) | Instruction::Volume(words) => words.iter().collect(),
        Instruction::Stopsignal(word) | Instruction::User(word) | Instruction::Workdir(word) => vec![word],
        _ => Vec::new(),
    }
}

fn transfer_words(transfer: &Transfer) -> Vec<&Word> {
    let sources = transfer.sources.iter().filter_map(|source| match source {
        Source::Path(path) => Some(path),
        Source::Heredoc(_) => None,
    });
    sources
        .chain([&transfer.destination])
        .chain(&transfer.chown)
        .chain(&transfer.chmod)
        .chain(&transfer.exclude)
        .collect()
}

fn undefined(word: &Word, at: &Location, scope: &Scope, escape: char, warnings: &mut Warnings) {
    for name in expand::references(word, escape) {
        // `$1`, `$@` and their like are the shell's
        let ordinary = name.starts_with(|c: char| c.is_alphabetic() || c == '_');
        if !ordinary || scope.has(&name) || predefined::PROXY.contains(&name.as_str()) {
            continue;
        }
        let hint = scope.near(&name).map(|near| format!(" (did you mean ${near}?)")).unwrap_or_default();
        warnings.add(Rule::UndefinedVar, at, format!("Usage of undefined variable '${name}'{hint}"));
    }
}

fn apply(instruction: &Instruction, scope: &mut Scope, global: &Scope, known: &Known<'_>, escape: char) {
    match instruction {
        Instruction::Arg(arguments) => {
            for argument in arguments {
                facts::declare(scope, argument, known.arguments, Some(global), escape);
            }
        }
        Instruction::Env(pairs) => {
            let before = scope.clone();
            for pair in pairs {
                scope.set(before.expand(&pair.name, escape), before.expand(&pair.value, escape));
            }
        }
        _ => {}
    }
}
