//! The block of options in a help text: two columns, wrapped to the terminal.

use super::Flag;

/// Below this many columns for the text, it starts on a line of its own.
const NARROW: usize = 24;
/// How far a last line may overhang before it is wrapped.
const SLOP: usize = 5;

/// The options, one line or more each, for `width` columns.
pub(crate) fn block(flags: &[Flag], width: usize) -> String {
    let mut shown: Vec<&Flag> = flags.iter().filter(|flag| !flag.hidden).collect();
    shown.sort_by_key(|flag| flag.name);
    let heads: Vec<String> = shown.iter().map(|flag| head(flag)).collect();
    let column = heads.iter().map(String::len).max().unwrap_or(0) + 3;
    let mut text = String::new();
    for (flag, head) in shown.iter().zip(&heads) {
        text.push_str(head);
        text.extend(std::iter::repeat_n(' ', column - head.len()));
        text.push_str(&wrap(&tail(flag), column, width));
        text.push('\n');
    }
    text
}

fn head(flag: &Flag) -> String {
    let letter = flag.short.map_or_else(|| "      ".to_owned(), |letter| format!("  -{letter}, "));
    let ty = if flag.is_switch() { String::new() } else { format!(" {}", flag.ty) };
    format!("{letter}--{}{ty}", flag.name)
}

fn tail(flag: &Flag) -> String {
    match flag.shown {
        "" => flag.usage.to_owned(),
        value if flag.ty == "string" => format!("{} (default \"{value}\")", flag.usage),
        value => format!("{} (default {value})", flag.usage),
    }
}

/// Wraps `text`, whose first line starts in `column`; further lines are indented to it.
fn wrap(text: &str, column: usize, width: usize) -> String {
    let (mut out, column) = if width.saturating_sub(column) < NARROW {
        (format!("\n{}", " ".repeat(16)), 16)
    } else {
        (String::new(), column)
    };
    let room = width.saturating_sub(column).max(NARROW);
    let mut rest = text;
    loop {
        let (line, more) = cut(rest, room);
        out.push_str(line);
        if more.is_empty() {
            return out;
        }
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', column));
        rest = more;
    }
}

/// The first line of at most `room` bytes, and what follows it.
fn cut(text: &str, room: usize) -> (&str, &str) {
    let fits = text.len() < room + SLOP;
    let mut edge = room.min(text.len());
    while !text.is_char_boundary(edge) {
        edge -= 1;
    }
    let window = if fits { text } else { &text[..edge] };
    let at = match (window.find('\n'), fits) {
        (Some(newline), _) => newline,
        (None, true) => return (text, ""),
        (None, false) => match window.rfind([' ', '\t']) {
            Some(space) if space > 0 => space,
            _ => return (text, ""),
        },
    };
    (&text[..at], &text[at + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_columns_with_defaults() {
        let flags = [
            Flag::string("name", "A name that is long enough to be wrapped at the edge of a small terminal"),
            Flag::bool("all", "Everything").short('a'),
            Flag::string("pull", "When to pull").default("missing"),
        ];
        let expected = "  -a, --all           Everything\n      --name string   A name that is long enough to be wrapped at the\n                      edge of a small terminal\n      --pull string   When to pull (default \"missing\")\n";
        assert_eq!(block(&flags, 70), expected);
    }
}
