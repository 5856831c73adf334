//! Two answers beside each other.

use std::collections::BTreeSet;

use serde_json::Value;

use super::script::Mode;

/// One part of an answer: `exit`, `stdout`, `body`, …
#[derive(Clone, Debug)]
pub(super) enum Part {
    Text(String),
    Json(Value),
}

/// All parts of an answer.
pub(super) type Answer = Vec<(&'static str, Part)>;

/// Where two answers part.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) part: String,
    pub(super) theirs: String,
    pub(super) ours: String,
}

/// Every difference between the reference's answer and ours.
pub(super) fn answers(theirs: &Answer, ours: &Answer, modes: &[Mode]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, part) in theirs {
        let other = ours.iter().find(|(other, _)| other == name).map(|(_, part)| part);
        // What only one side has is compared with nothing.
        let nothing = Part::Text(String::new());
        parts(name, part, other.unwrap_or(&nothing), modes, &mut findings);
    }
    findings
}

fn parts(name: &str, theirs: &Part, ours: &Part, modes: &[Mode], findings: &mut Vec<Finding>) {
    let has = |mode| modes.contains(&mode);
    match (theirs, ours) {
        (Part::Json(theirs), Part::Json(ours)) => values(name, theirs, ours, has(Mode::Keys), findings),
        (theirs, ours) => {
            let content = matches!(name, "stdout" | "body" | "file");
            let (theirs, ours) = (plain(theirs), plain(ours));
            if !content && sentence(&theirs) == sentence(&ours) {
                return;
            }
            let (theirs, ours) = match content {
                true if has(Mode::Columns) => (columns(&theirs), columns(&ours)),
                true if has(Mode::Set) => (set(&theirs), set(&ours)),
                true if has(Mode::Sorted) => (sorted(&theirs), sorted(&ours)),
                _ => (theirs, ours),
            };
            if theirs != ours {
                findings.push(Finding { part: name.to_owned(), theirs, ours });
            }
        }
    }
}

fn plain(part: &Part) -> String {
    match part {
        Part::Text(text) => text.clone(),
        Part::Json(value) => value.to_string(),
    }
}

/// An error sentence without what does not make it another one: which words begin with a capital.
fn sentence(text: &str) -> String {
    text.to_lowercase()
}

fn columns(table: &str) -> String {
    format!("{} [{} lines]", table.lines().next().unwrap_or_default().trim_end(), table.lines().count())
}

fn sorted(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines.join("\n")
}

fn set(text: &str) -> String {
    text.lines().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join("\n")
}

fn values(path: &str, theirs: &Value, ours: &Value, keys_only: bool, findings: &mut Vec<Finding>) {
    match (theirs, ours) {
        (Value::Object(a), Value::Object(b)) => {
            for key in a.keys().chain(b.keys().filter(|key| !a.contains_key(*key))) {
                let below = format!("{path}.{key}");
                match (a.get(key), b.get(key)) {
                    (Some(a), Some(b)) => values(&below, a, b, keys_only, findings),
                    (a, b) => findings.push(Finding { part: below, theirs: shown(a), ours: shown(b) }),
                }
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            if a.len() != b.len() && (!keys_only || a.is_empty() != b.is_empty()) {
                findings.push(Finding {
                    part: format!("{path}[]"),
                    theirs: shown(Some(theirs)),
                    ours: shown(Some(ours)),
                });
                return;
            }
            for (a, b) in a.iter().zip(b) {
                values(&format!("{path}[]"), a, b, keys_only, findings);
            }
        }
        (a, b) if kind(a) == kind(b) && (keys_only || a == b) => {}
        (Value::String(a), Value::String(b)) if path == "body.message" && sentence(a) == sentence(b) => {}
        (a, b) => {
            findings.push(Finding { part: path.to_owned(), theirs: shown(Some(a)), ours: shown(Some(b)) })
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn shown(value: Option<&Value>) -> String {
    value.map_or_else(|| "(absent)".to_owned(), Value::to_string)
}

#[test]
fn a_key_a_type_and_a_value_are_found() {
    let (mut found, mut typed) = (Vec::new(), Vec::new());
    let a = serde_json::json!({ "same": 1, "key": 1, "type": null, "list": [{ "x": 1 }] });
    let b = serde_json::json!({ "same": 1, "type": [], "list": [{ "x": 2 }] });
    values("body", &a, &b, false, &mut found);
    values("body", &a, &b, true, &mut typed);
    let parts = |found: &[Finding]| found.iter().map(|found| found.part.clone()).collect::<Vec<_>>();
    assert_eq!(parts(&found), ["body.key", "body.list[].x", "body.type"]);
    assert_eq!(parts(&typed), ["body.key", "body.type"]);
}
