//! Whether a template's blocks are ended, each once: the template engine takes the text's end for all that are missing,
//! and what follows one too many for nothing.

use gotmpl::parse::{Node, Parser};

/// Text that no template has.
const MARK: &str = "\u{10fffe}";
/// Open blocks that are told from ends too many.
const DEEPEST: usize = 64;

/// Go's words for what is wrong with the blocks of a template that can be parsed.
pub(crate) fn wrong(source: &str) -> Option<&'static str> {
    // with an end too many the mark stands behind what is read, with one too few in a block
    let blocks = source.matches("{{").count().min(DEEPEST);
    match (0..=blocks).find(|ends| stands_free(source, *ends)) {
        Some(0) => None,
        Some(_) => Some("unexpected EOF"),
        None => Some("unexpected {{end}}"),
    }
}

/// Whether text behind the template and so many ends more would stand in no block.
fn stands_free(source: &str, ends: usize) -> bool {
    let text = format!("{source}{}{MARK}", "{{end}}".repeat(ends));
    let parsed = Parser::new(&text, "{{", "}}").and_then(Parser::parse);
    let Ok((list, _)) = parsed else { return false };
    matches!(list.nodes.last(), Some(Node::Text(last)) if last.text.ends_with(MARK))
}

#[cfg(test)]
mod tests {
    use super::wrong;

    #[test]
    fn each_block_ends_once() {
        for right in [
            "",
            "x",
            "{{.A}}",
            "{{if .A}}{{range .B}}x{{end}}{{else}}y{{end}} z",
            "{{/* {{end}} */}}",
            "{{\"{{if\"}}",
        ] {
            assert_eq!(wrong(right), None, "{right}");
        }
        for open in
            ["{{if .A}}", "{{range 3}}{{if .A}}x{{end}}", "{{if .A}}{{else}}x", "{{with .A}} {{- if .B}}"]
        {
            assert_eq!(wrong(open), Some("unexpected EOF"), "{open}");
        }
        for closed in ["{{end}}", "{{.A}}{{end}} x", "{{if .A}}{{end}}{{end}}{{if .B}}"] {
            assert_eq!(wrong(closed), Some("unexpected {{end}}"), "{closed}");
        }
    }
}
