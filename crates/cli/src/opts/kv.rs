//! `key=value` options.

use std::collections::BTreeMap;

/// Pairs as a map; a key without value maps to the empty text.
pub(crate) fn map(pairs: &[&str]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// The fields of a line of comma-separated values; a field may be quoted.
pub(crate) fn csv(line: &str) -> Result<Vec<String>, String> {
    let mut fields = vec![String::new()];
    let mut chars = line.chars().peekable();
    let mut quoted = false;
    while let Some(c) = chars.next() {
        let Some(field) = fields.last_mut() else { break };
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if field.is_empty() => quoted = true,
            '"' => return Err("parse error on line 1: bare \" in non-quoted-field".to_owned()),
            ',' if !quoted => fields.push(String::new()),
            c => field.push(c),
        }
    }
    if quoted {
        Err("parse error on line 1: extraneous or missing \" in quoted-field".to_owned())
    } else {
        Ok(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_fields() {
        assert_eq!(csv(r#"a,"b,""c""",d"#).unwrap(), ["a", "b,\"c\"", "d"]);
        assert!(csv(r#"a"b"#).is_err() && csv(r#""a"#).is_err());
        assert_eq!(map(&["a=b=c", "d"])["a"], "b=c");
    }
}
