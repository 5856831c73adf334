//! The lines of a Dockerfile that an error is about, and those around them.

use buildkit::details::Source;

/// Lines that are shown beside several lines, and beside a single one.
const AROUND: (usize, usize) = (2, 4);
/// Longest line that is shown, in characters.
const MAX_LINE: usize = 1000;
/// Most lines that are shown.
const MAX_LINES: usize = 100;

/// As BuildKit's clients show it; `None` when the lines are not in the file.
pub(in crate::build) fn excerpt(source: &Source) -> Option<String> {
    let info = source.info.as_ref()?;
    let text = String::from_utf8_lossy(&info.data);
    let lines: Vec<&str> = text.split('\n').collect();
    let number = |line: i32| usize::try_from(line).ok().filter(|line| *line > 0);
    let ranges: Vec<(usize, usize)> = source
        .ranges
        .iter()
        .filter_map(|range| {
            let start = number(range.start?.line)?;
            Some((start, range.end.and_then(|end| number(end.line)).unwrap_or(start).max(start)))
        })
        .collect();
    let first = ranges.iter().map(|range| range.0).min().filter(|first| *first <= lines.len())?;
    let last = ranges.iter().map(|range| range.1).max()?.min(lines.len());
    let (from, to) = around(first, last, lines.len());
    let mut shown = format!("{}:{first}\n--------------------\n", clean(&info.filename));
    for line in (from..=to).take(MAX_LINES) {
        let is_meant = ranges.iter().any(|(first, last)| (*first..=*last).contains(&line));
        let mark = if is_meant { ">>>" } else { "   " };
        shown.push_str(&format!(" {line:>3} | {mark} {}\n", clean(lines.get(line - 1)?)));
    }
    shown.push_str("--------------------\n");
    Some(shown)
}

/// The lines that are shown: some before and some after, as many as there are.
fn around(first: usize, last: usize, all: usize) -> (usize, usize) {
    let wanted = if first == last { AROUND.1 } else { AROUND.0 };
    let (mut from, mut to, mut taken) = (first, last, 0);
    while taken < wanted {
        if from > 1 {
            from -= 1;
            taken += 1;
        }
        if to < all {
            to += 1;
            taken += 1;
        }
        taken += 1;
    }
    (from, to)
}

/// Nothing that a terminal would obey.
fn clean(text: &str) -> String {
    let plain = |c: char| if c.is_control() && c != '\t' { ' ' } else { c };
    text.trim_end_matches('\r').chars().take(MAX_LINE).map(plain).collect()
}

#[cfg(test)]
mod tests {
    use buildkit::proto::pb;

    use super::*;

    fn source(text: &str, start: i32, end: i32) -> Source {
        let info = pb::SourceInfo { filename: "Dockerfile".into(), data: text.into(), ..Default::default() };
        let at = |line| Some(pb::Position { line, character: 0 });
        Source { info: Some(info), ranges: vec![pb::Range { start: at(start), end: at(end) }] }
    }

    #[test]
    fn the_lines_and_their_neighbours() {
        let text = "FROM a\nRUN b\nRUN c \\\n  d\nRUN \u{1b}e\n";
        let rule = "--------------------\n";
        assert_eq!(
            excerpt(&source(text, 3, 4)).unwrap(),
            format!(
                "Dockerfile:3\n{rule}   2 |     RUN b\n   3 | >>> RUN c \\\n   4 | >>>   d\n   5 |     RUN  e\n{rule}"
            )
        );
        assert_eq!(excerpt(&source(text, 1, 1)).unwrap().lines().nth(2), Some("   1 | >>> FROM a"));
        assert_eq!(excerpt(&source(text, 7, 9)), None);
        assert_eq!(excerpt(&source(text, 0, -1)), None);
        assert_eq!(excerpt(&source("FROM a", 1, i32::MAX)).unwrap().matches(">>>").count(), 1);
    }
}
