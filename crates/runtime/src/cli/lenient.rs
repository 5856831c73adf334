//! Capabilities that a specification names and this build has never heard of. The runtime specification wants a warning
//! of them and no error; the types that `config.json` is read into know only their own.

use serde_json::Value;

/// Takes unknown capabilities out of a process; their names.
fn strip(process: &mut Value) -> Vec<String> {
    let mut unknown = Vec::new();
    let sets = process.get_mut("capabilities").and_then(Value::as_object_mut);
    for list in sets.into_iter().flatten().filter_map(|(_, set)| set.as_array_mut()) {
        list.retain(|name| match name.as_str() {
            Some(name) if sys::caps::number(name).is_none() => {
                unknown.push(name.to_owned());
                false
            }
            _ => true,
        });
    }
    unknown.sort();
    unknown.dedup();
    unknown
}

/// The same text without unknown capabilities, and their names, when it has such; at `process`, or as a whole.
pub(crate) fn without_unknown_capabilities(bytes: &[u8], whole: bool) -> Option<(Vec<u8>, Vec<String>)> {
    let mut value: Value = serde_json::from_slice(bytes).ok()?;
    let process = if whole { &mut value } else { value.get_mut("process")? };
    let unknown = strip(process);
    if unknown.is_empty() {
        return None;
    }
    Some((serde_json::to_vec(&value).ok()?, unknown))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_ones_are_named_once() {
        let text =
            br#"{"process":{"capabilities":{"bounding":["CAP_KILL","CAP_NEW"],"effective":["CAP_NEW"]}}}"#;
        let (bytes, unknown) = without_unknown_capabilities(text, false).unwrap();
        assert_eq!(unknown, ["CAP_NEW"]);
        let value: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(value["process"]["capabilities"]["bounding"], serde_json::json!(["CAP_KILL"]));
        assert!(without_unknown_capabilities(&bytes, false).is_none());
        assert!(without_unknown_capabilities(b"{", false).is_none());
    }
}
