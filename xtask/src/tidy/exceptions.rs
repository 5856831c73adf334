//! What is over its budget for a stated reason. Budgets here only go down.

/// Path, lines, reason.
const LINES: &[(&str, usize, &str)] = &[];

/// Folder, files, reason.
const FILES: &[(&str, usize, &str)] =
    &[("crates/cli/src/command/container", 25, "one file a verb: Docker has two dozen on containers")];

pub(super) fn lines(path: &str) -> Option<usize> {
    LINES.iter().find(|(listed, ..)| *listed == path).map(|(_, lines, _)| *lines)
}

pub(super) fn files(folder: &str) -> Option<usize> {
    FILES.iter().find(|(listed, ..)| *listed == folder).map(|(_, files, _)| *files)
}
