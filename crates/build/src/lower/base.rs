//! What stages are made of: which of them the target needs, and what each begins with.

use std::collections::BTreeSet;

use dockerfile::ast::{Instruction, MountSpec};
use dockerfile::{Dockerfile, Stage};
use oci::Reference;

use super::environment::{self, Arguments};
use super::{Options, at};
use crate::graph::{
    Action, Copy, FileAction, FileInput, FileOp, ImageSource, Op, Output, ResolveMode, Source, Vertex,
};
use crate::{Error, Result};

/// The arguments before the first `FROM`.
pub(super) fn global(file: &Dockerfile, options: &Options) -> Result<Arguments> {
    let mut known = Arguments::default();
    for (name, value) in environment::platforms(options) {
        known.set(name, Some(options.build_args.get(name).cloned().unwrap_or(value)));
    }
    for located in &file.args {
        for argument in &located.node {
            let lookup = |name: &str| known.get(name);
            let expand = |text: &str| {
                environment::word(text, file.directives.escape, &lookup)
                    .map_err(|error| at(located.at.first_line, error))
            };
            let name = expand(&argument.name)?;
            let default = argument.default.as_ref().map(|word| expand(word)).transpose()?;
            let value = options.build_args.get(&name).cloned().or(default);
            known.set(&name, value);
        }
    }
    Ok(known)
}

/// The base of a stage as it is meant.
pub(super) fn base(file: &Dockerfile, stage: &Stage, global: &Arguments) -> Result<String> {
    let lookup = |name: &str| global.get(name);
    let base = environment::word(&stage.base, file.directives.escape, &lookup)
        .map_err(|error| at(stage.at.first_line, error))?;
    if base.is_empty() {
        return Err(at(stage.at.first_line, format!("base name ({}) should not be blank", stage.base)));
    }
    Ok(base)
}

/// What a stage's vertices are called by: its name if there are several, its platform if that is not the only one.
pub(super) fn shown(options: &Options, stage: &str, several: bool) -> String {
    let platform = options.platform.as_ref().filter(|_| options.several_platforms);
    let platform = platform.map(|platform| format!("{platform} ")).unwrap_or_default();
    if several { format!("{platform}{stage} ") } else { platform }
}

/// The stage that is the target.
pub(super) fn target(file: &Dockerfile, options: &Options) -> Result<usize> {
    if options.target.is_empty() {
        return Ok(file.stages.len() - 1);
    }
    let by_number = || options.target.parse().ok().filter(|index| *index < file.stages.len());
    let found = file.stage(&options.target).or_else(by_number);
    found.ok_or_else(|| {
        Error::Invalid(format!("failed to reach build target {} in Dockerfile", options.target))
    })
}

/// A stage before `before` by its name or, where that may be, its number.
pub(super) fn earlier(file: &Dockerfile, before: usize, name: &str, numbers: bool) -> Option<usize> {
    let lower = name.to_lowercase();
    let named = file.stages[..before].iter().rposition(|stage| stage.name.as_deref() == Some(&*lower));
    let number = || name.parse().ok().filter(|index| numbers && *index < before);
    named.or_else(number)
}

/// Which stages the target needs.
pub(super) fn needed(file: &Dockerfile, target: usize, global: &Arguments) -> Result<BTreeSet<usize>> {
    let mut needed = BTreeSet::from([target]);
    let mut left = vec![target];
    while let Some(index) = left.pop() {
        let stage = &file.stages[index];
        let base = base(file, stage, global)?;
        let mut used: Vec<usize> = earlier(file, index, &base, false).into_iter().collect();
        for located in &stage.instructions {
            used.extend(sources(&located.node).iter().filter_map(|name| earlier(file, index, name, true)));
        }
        left.extend(used.into_iter().filter(|used| needed.insert(*used)));
    }
    Ok(needed)
}

/// What `--from` and `from=` name.
fn sources(instruction: &Instruction) -> Vec<String> {
    let mount = |spec: &MountSpec| {
        let from = spec.options.iter().find(|(key, _)| key == "from");
        from.and_then(|(_, value)| value.clone())
    };
    match instruction {
        Instruction::Copy(copy) => copy.from.iter().map(|from| from.text.clone()).collect(),
        Instruction::Run(run) => run.mounts.iter().filter_map(mount).collect(),
        Instruction::Onbuild(trigger) => sources(&trigger.instruction),
        _ => Vec::new(),
    }
}

/// An image by what a Dockerfile calls it.
pub(super) fn image(name: &str, options: &Options) -> Result<Source, String> {
    if let Some(context) = options.contexts.get(name) {
        return Ok(context.clone());
    }
    let reference =
        Reference::parse(name).map_err(|error| format!("failed to parse stage name {name:?}: {error}"))?;
    Ok(Source::Image(ImageSource { reference: reference.with_default_tag(), resolve: ResolveMode::Local }))
}

/// Files that are no image as the first layer of one.
pub(super) fn layer(name: &str, files: Output) -> Vertex {
    let copy = Copy {
        source: "/".into(),
        target: "/".into(),
        contents_only: true,
        make_parents: true,
        ..Copy::default()
    };
    let action = FileAction {
        input: None,
        secondary: Some(FileInput::Input(0)),
        output: Some(0),
        action: Action::Copy(Box::new(copy)),
    };
    Vertex {
        op: Op::File(FileOp { actions: vec![action] }),
        inputs: vec![files],
        name: format!("[context {name}] FROM its files"),
        progress_group: None,
        platform: None,
        no_cache: false,
    }
}
