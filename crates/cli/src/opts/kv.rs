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
    let (mut column, end) = (0, line.chars().count() + 1);
    while let Some(c) = chars.next() {
        column += 1;
        let Some(field) = fields.last_mut() else { break };
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                column += 1;
                field.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if field.is_empty() => quoted = true,
            '"' => {
                return Err(format!("parse error on line 1, column {column}: bare \" in non-quoted-field"));
            }
            ',' if !quoted => fields.push(String::new()),
            c => field.push(c),
        }
    }
    if quoted {
        Err(format!("parse error on line 1, column {end}: extraneous or missing \" in quoted-field"))
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
