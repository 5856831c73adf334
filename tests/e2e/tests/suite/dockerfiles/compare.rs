//! Two outcomes side by side, and an outcome beside what a case says.

use std::collections::BTreeSet;

use anyhow::Result;
use serde_json::Value;

use super::case::Case;
use super::outcome::{FIELDS, Outcome, Tree};

/// What differs between our outcome and Docker's, in lines.
pub(super) fn differences(case: &Case, ours: &Outcome, docker: &Outcome) -> Vec<String> {
    match (ours, docker) {
        (Outcome::Built { config, tree }, Outcome::Built { config: docker_config, tree: docker_tree }) => {
            let mut found = Vec::new();
            for field in FIELDS.iter().chain(&["Author", "Layers", "History"]) {
                if config[field] != docker_config[field] {
                    found.push(format!(
                        "{field}: {} where Docker has {}",
                        config[field], docker_config[field]
                    ));
                }
            }
            let paths: BTreeSet<&String> = tree.keys().chain(docker_tree.keys()).collect();
            for path in paths {
                let (ours, docker) = (at(tree, path), at(docker_tree, path));
                if ours != docker {
                    found.push(format!("/{path}: {ours} where Docker has {docker}"));
                }
            }
            found
        }
        (Outcome::Refused { status, message }, Outcome::Refused { status: docker, message: theirs })
            if status == docker =>
        {
            sentence(case, message, theirs)
        }
        (Outcome::Failed { message }, Outcome::Failed { message: theirs }) => sentence(case, message, theirs),
        (ours, docker) if ours == docker => Vec::new(),
        (ours, docker) => vec![format!("{} where Docker: {}", ours.summary(), docker.summary())],
    }
}

fn sentence(case: &Case, ours: &str, docker: &str) -> Vec<String> {
    let same = match &case.says {
        Some(says) => ours.contains(says),
        None => ours == docker,
    };
    if same { Vec::new() } else { vec![format!("says {ours:?} where Docker: {docker:?}")] }
}

/// Where our outcome is not what the case says.
pub(super) fn unlike(case: &Case, ours: &Outcome) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for (key, rest) in &case.expected {
        let (path, wanted) = rest.split_once(' ').unwrap_or((rest, ""));
        match (key.as_str(), ours) {
            ("error", Outcome::Refused { message, .. } | Outcome::Failed { message }) => {
                if !message.contains(rest) {
                    found.push(format!("says {message:?}, not {rest:?}"));
                }
            }
            ("config", Outcome::Built { config, .. }) => {
                let wanted: Value = serde_json::from_str(wanted)?;
                let have = match path {
                    "Env" => {
                        Value::from_iter(config["Env"].as_array().into_iter().flatten().skip(1).cloned())
                    }
                    path => path.split('.').fold(config, |value, key| &value[key]).clone(),
                };
                if have != wanted {
                    found.push(format!("{path} is {have}, not {wanted}"));
                }
            }
            ("tree", Outcome::Built { tree, .. }) => {
                if at(tree, path) != wanted {
                    found.push(format!("/{path} is {:?}, not {wanted:?}", at(tree, path)));
                }
            }
            _ => found.push(ours.summary()),
        }
    }
    Ok(found)
}

fn at<'a>(tree: &'a Tree, path: &str) -> &'a str {
    tree.get(path).map_or("absent", String::as_str)
}
