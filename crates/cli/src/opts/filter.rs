//! `--filter key=value`

use api::Filters;

/// The parameter of the query; empty when there is nothing to filter by.
pub(crate) fn encode(given: &[&str]) -> String {
    let mut filters = Filters::new();
    for text in given {
        if let Some((key, value)) = text.split_once('=') {
            filters.add(&key.trim().to_lowercase(), value.trim());
        }
    }
    if filters.is_empty() { String::new() } else { filters.encode() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_lower_case() {
        assert_eq!(
            encode(&["Status=exited", "status=created"]),
            r#"{"status":{"created":true,"exited":true}}"#
        );
        assert_eq!(encode(&[]), "");
    }
}
