//! What varies from run to run, by a word for its kind.

use std::sync::OnceLock;

use regex::Regex;
use serde_json::Value;

/// Patterns and what is written for them, in the order in which they are applied.
const MASKS: &[(&str, &str)] = &[
    // paths below an engine's folder
    (r#"<root>[^\s"',:\]]*"#, "<path>"),
    (r"\b[0-9a-f]{64}\b", "<id>"),
    (r"\b[0-9a-f]{12}\b", "<short>"),
    (r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", "<time>"),
    (r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?( [+-]\d{4})?( [A-Z]{3})?", "<time>"),
    (r"\b[0-9a-f]{2}(:[0-9a-f]{2}){5}\b", "<mac>"),
    (r"(?i)\b(less than a|about an?|\d+) (second|minute|hour)s?\b", "<span>"),
    (r"\b(1[0-9]{2}|10|2[0-9]{2})(\.[0-9]{1,3}){3}\b", "<address>"),
    // the programs through which a start goes, and containerd's own kind of error
    (
        r"failed to create (shim task|task for container): OCI runtime create failed: (runc create failed: unable to start container process: )?",
        "<start>: ",
    ),
    (r"(?m): unknown\r?$", ""),
    (r"OCI runtime exec failed: (exec failed: unable to start container process: )?", "<exec>: "),
    (r"(<exec>: [^\r\n]*)\r?\n?", "$1\n"),
    (r" {2,}", "  "),
];

/// Fields of JSON answers whose value varies; that it is there and its type still count. A field that is
/// empty on one side only is a difference all the same.
const VARYING: &[&str] = &[
    "Pid",
    "Created",
    "EndpointID",
    "IPAddress",
    "Gateway",
    "SandboxID",
    "time",
    "timeNano",
    "Timestamp",
    "mtime",
    "read",
    "preread",
    "Subnet",
    "GlobalIPv6Address",
    "Ports2",
];

/// `text` with what varies masked; `root` is the engine's folder.
#[expect(clippy::expect_used, reason = "the patterns are constants, and every test reads them")]
pub(super) fn text(text: &str, root: &str) -> String {
    static COMPILED: OnceLock<Vec<(Regex, &str)>> = OnceLock::new();
    let compiled = COMPILED.get_or_init(|| {
        MASKS.iter().map(|(pattern, word)| (Regex::new(pattern).expect("a pattern of ours"), *word)).collect()
    });
    let mut masked = text.replace(root, "<root>");
    for (pattern, word) in compiled {
        masked = pattern.replace_all(&masked, *word).into_owned();
    }
    masked
}

/// The same in every string and key of `value`. Lists of objects are brought into one order.
pub(super) fn json(value: Value, root: &str) -> Value {
    match value {
        Value::String(string) => Value::String(text(&string, root)),
        Value::Array(items) => {
            let mut items: Vec<Value> = items.into_iter().map(|item| json(item, root)).collect();
            if items.iter().all(Value::is_object) {
                items.sort_by_key(Value::to_string);
            }
            Value::Array(items)
        }
        Value::Object(fields) => {
            let masked = fields.into_iter().map(|(key, value)| {
                let mut value =
                    if VARYING.contains(&key.as_str()) { varying(value) } else { json(value, root) };
                // Docker's client takes these from a map of Go, whose order is none.
                if let ("Binds" | "Env", Some(binds)) = (key.as_str(), value.as_array_mut()) {
                    binds.sort_by_key(Value::to_string);
                }
                (text(&key, root), value)
            });
            Value::Object(masked.collect())
        }
        other => other,
    }
}

fn varying(value: Value) -> Value {
    match value {
        Value::String(string) if !string.is_empty() => Value::from("<varies>"),
        Value::Number(number) if number.as_i64() != Some(0) => Value::from("<number>"),
        other => other,
    }
}

#[test]
fn what_varies_is_masked() {
    assert_eq!(
        text("/tmp/x/data/a 0123456789ab Up 3 seconds 172.17.0.2:80 127.0.0.1 0.0.0.0", "/tmp/x"),
        "<path> <short> Up <span> <address>:80 <address> 0.0.0.0"
    );
}
