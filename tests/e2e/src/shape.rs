//! The shape of a JSON document: its keys and the types of its values, without the values.

use std::collections::BTreeMap;

use serde_json::Value;

/// `path: type` of every member. Lists are of one kind: the shapes of their members are taken together. Maps whose
/// keys are data (`free`, by their path) likewise.
pub fn shape(value: &Value, free: &[&str]) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    walk("", value, free, &mut out);
    out
}

fn walk(path: &str, value: &Value, free: &[&str], out: &mut BTreeMap<String, String>) {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    };
    out.insert(path.to_owned(), kind.to_owned());
    match value {
        Value::Array(list) => list.iter().for_each(|one| walk(&format!("{path}[]"), one, free, out)),
        Value::Object(map) => {
            for (key, one) in map {
                let key = if free.contains(&path) { "*" } else { key };
                walk(&format!("{path}.{key}"), one, free, out);
            }
        }
        _ => {}
    }
}

/// Lines that say how the shape `ours` differs from `theirs`: `- path: type` is missing, `+ path: type` is more.
/// What is null on either side may be anything on the other.
pub fn differences(ours: &BTreeMap<String, String>, theirs: &BTreeMap<String, String>) -> Vec<String> {
    let empty_beside = |path: &str, other: &BTreeMap<String, String>| {
        let mut above = path;
        while let Some(cut) = above.rfind(['.', '[']) {
            above = &above[..cut];
            if other.get(above).is_some_and(|kind| kind == "null" || kind == "list") {
                return !other.keys().any(|key| key.starts_with(&format!("{above}[")));
            }
        }
        false
    };
    let mut lines = Vec::new();
    for (path, kind) in theirs {
        match ours.get(path) {
            Some(same) if same == kind || same == "null" || kind == "null" => {}
            Some(other) => lines.push(format!("! {path}: {other} instead of {kind}")),
            None if empty_beside(path, ours) => {}
            None => lines.push(format!("- {path}: {kind}")),
        }
    }
    for (path, kind) in ours {
        if !theirs.contains_key(path) && !empty_beside(path, theirs) {
            lines.push(format!("+ {path}: {kind}"));
        }
    }
    lines
}
