//! Single instructions.

use super::{Known, Rule, Warnings};
use crate::ast::{CommandLine, Dockerfile, Instruction, Source, Stage};
use crate::ignore;
use crate::{Located, Location};

pub(super) fn check(file: &Dockerfile, known: &Known<'_>, warnings: &mut Warnings) {
    // a stage on another one goes on from its working directory
    let mut absolute: Vec<bool> = Vec::new();
    for (index, stage) in file.stages.iter().enumerate() {
        let base = stage.base.text.to_lowercase();
        let parent = file.stages[..index].iter().rposition(|other| other.name.as_deref() == Some(&*base));
        let mut rooted = parent.and_then(|parent| absolute.get(parent)).copied().unwrap_or(base == "scratch");
        let own_shell = stage.instructions.iter().any(|one| matches!(one.node, Instruction::Shell(_)));
        once(stage, warnings);
        for Located { node, at } in &stage.instructions {
            match node {
                Instruction::Workdir(path) => {
                    let first = path.text.trim_start_matches(['"', '\'']);
                    if first.starts_with('/') {
                        rooted = true;
                    } else if !rooted && !first.starts_with('$') {
                        let message = format!(
                            "Relative workdir {:?} can have unexpected results if the base image changes",
                            path.text
                        );
                        warnings.add(Rule::WorkdirRelativePath, at, message);
                    }
                }
                _ => instruction(node, at, own_shell, known, warnings),
            }
        }
        absolute.push(rooted);
    }
}

fn instruction(
    node: &Instruction,
    at: &Location,
    own_shell: bool,
    known: &Known<'_>,
    warnings: &mut Warnings,
) {
    match node {
        Instruction::Cmd(CommandLine::Shell(_)) | Instruction::Entrypoint(CommandLine::Shell(_))
            if !own_shell =>
        {
            let message = format!(
                "JSON arguments recommended for {} to prevent unintended behavior related to OS signals",
                node.name()
            );
            warnings.add(Rule::JsonArgsRecommended, at, message);
        }
        Instruction::Env(pairs) | Instruction::Label(pairs) => {
            if pairs.iter().any(|pair| pair.legacy) {
                let keyword = node.name();
                let message = format!(
                    "\"{keyword} key=value\" should be used instead of legacy \"{keyword} key value\" format"
                );
                warnings.add(Rule::LegacyKeyValueFormat, at, message);
            }
            if let Instruction::Env(pairs) = node {
                pairs.iter().for_each(|pair| secret("ENV", &pair.name, at, warnings));
            }
        }
        Instruction::Arg(arguments) => {
            arguments.iter().for_each(|argument| secret("ARG", &argument.name, at, warnings));
        }
        Instruction::Maintainer(_) => {
            let message = "Maintainer instruction is deprecated in favor of using label";
            warnings.add(Rule::MaintainerDeprecated, at, message);
        }
        Instruction::Expose(ports) => ports.iter().for_each(|port| expose(port, at, warnings)),
        Instruction::Copy(copy) if copy.from.is_none() => {
            ignored("Copy", &copy.transfer.sources, at, known, warnings)
        }
        Instruction::Add(add) => ignored("Add", &add.transfer.sources, at, known, warnings),
        _ => {}
    }
}

/// All but the last `CMD`, `ENTRYPOINT` and `HEALTHCHECK` of a stage have no effect.
fn once(stage: &Stage, warnings: &mut Warnings) {
    for name in ["CMD", "ENTRYPOINT", "HEALTHCHECK"] {
        let all: Vec<_> = stage.instructions.iter().filter(|one| one.node.name() == name).collect();
        for one in all.iter().take(all.len().saturating_sub(1)) {
            let message = format!(
                "Multiple {name} instructions should not be used in the same stage because only the last one will be \
                 used"
            );
            warnings.add(Rule::MultipleInstructionsDisallowed, &one.at, message);
        }
    }
}

/// Words of a name that say that its value is to be kept secret, and those that say that it is not.
fn secret(keyword: &str, name: &str, at: &Location, warnings: &mut Warnings) {
    let lower = name.to_ascii_lowercase();
    let mut words = lower.split('_');
    let telling = [
        "apikey",
        "auth",
        "credential",
        "credentials",
        "key",
        "password",
        "pword",
        "passwd",
        "secret",
        "token",
    ];
    let harmless = ["public"];
    if words.any(|word| telling.contains(&word)) && !lower.split('_').any(|word| harmless.contains(&word)) {
        let message = format!("Do not use ARG or ENV instructions for sensitive data ({keyword} {name:?})");
        warnings.add(Rule::SecretsUsedInArgOrEnv, at, message);
    }
}

fn expose(port: &str, at: &Location, warnings: &mut Warnings) {
    if port.contains('$') {
        return;
    }
    if let Some((number, protocol)) = port.split_once('/')
        && protocol != protocol.to_lowercase()
    {
        let message =
            format!("Defined protocol '{number}/{protocol}' in EXPOSE instruction should be lowercase");
        warnings.add(Rule::ExposeProtoCasing, at, message);
    }
    if port.contains(':') {
        let message = format!(
            "EXPOSE instruction should not define an IP address or host-port mapping, found '{port}'"
        );
        warnings.add(Rule::ExposeInvalidFormat, at, message);
    }
}

fn ignored(keyword: &str, sources: &[Source], at: &Location, known: &Known<'_>, warnings: &mut Warnings) {
    let Some(patterns) = known.ignored else { return };
    for source in sources {
        let Source::Path(path) = source else { continue };
        let text = path.text.trim_start_matches('/');
        if text.contains("://") || crate::glob::has_wildcard(text) || text.contains('$') {
            continue;
        }
        let clean = ignore::clean(text);
        if clean != "." && patterns.matches(&clean) && !patterns.may_include_below(&clean) {
            let message =
                format!("Attempting to {keyword} file {:?} that is excluded by .dockerignore", path.text);
            warnings.add(Rule::CopyIgnoredFile, at, message);
        }
    }
}
