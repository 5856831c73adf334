//! Size budgets. Functions are clippy's (`too-many-lines-threshold` in `clippy.toml`).

use std::collections::BTreeMap;

use super::{Finding, Source, exceptions};

/// Lines of a source file, its tests not counted.
const FILE: usize = 500;
/// Lines of a `main.rs`.
const MAIN: usize = 60;
/// Source files in one folder.
const FOLDER: usize = 20;

pub(super) fn check(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut folders: BTreeMap<&str, usize> = BTreeMap::new();
    for source in sources {
        let lines = source.text.lines().count();
        let name = source.path.rsplit('/').next().unwrap_or_default();
        let budget = if name == "main.rs" { MAIN } else { FILE };
        let budget = exceptions::lines(&source.path).unwrap_or(budget);
        if lines > budget {
            findings.push(Finding::new(
                &source.path,
                format!("{lines} lines, the budget is {budget}: find the missing concept"),
            ));
        }
        let folder = source.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        *folders.entry(folder).or_default() += 1;
    }
    for (folder, files) in folders {
        let budget = exceptions::files(folder).unwrap_or(FOLDER);
        if files > budget {
            findings.push(Finding::new(folder, format!("{files} files, the budget is {budget}")));
        }
    }
    findings
}
