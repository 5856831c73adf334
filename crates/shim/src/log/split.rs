//! Output into lines: a line longer than [`MAX_LINE`] is recorded in parts.

/// Longest message in bytes, as in Docker: a longer line becomes several entries of which only the last
/// ends with a newline.
pub(crate) const MAX_LINE: usize = 16 * 1024;

/// Holds the beginning of a line until its end arrives.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    held: Vec<u8>,
    /// The current line has already been recorded in part.
    partial: bool,
}

/// One message for the log.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    /// Without the newline.
    pub(crate) line: &'a [u8],
    /// The line ends here.
    pub(crate) complete: bool,
    /// An earlier message holds its beginning.
    pub(crate) continued: bool,
}

impl Splitter {
    /// Take a chunk of output and give each finished message.
    pub(crate) fn feed(&mut self, mut chunk: &[u8], mut give: impl FnMut(Message<'_>)) {
        while !chunk.is_empty() {
            let room = MAX_LINE - self.held.len();
            let window = &chunk[..chunk.len().min(room)];
            match memchr::memchr(b'\n', window) {
                Some(at) => {
                    self.give(&window[..at], true, &mut give);
                    chunk = &chunk[at + 1..];
                }
                None if window.len() == room => {
                    self.give(window, false, &mut give);
                    chunk = &chunk[room..];
                }
                None => {
                    self.held.extend_from_slice(window);
                    return;
                }
            }
        }
    }

    /// The output has ended: give what has no newline.
    pub(crate) fn finish(&mut self, mut give: impl FnMut(Message<'_>)) {
        if !self.held.is_empty() {
            self.give(&[], false, &mut give);
        }
        self.held = Vec::new();
    }

    fn give(&mut self, tail: &[u8], complete: bool, give: &mut impl FnMut(Message<'_>)) {
        let continued = std::mem::replace(&mut self.partial, !complete);
        if self.held.is_empty() {
            return give(Message { line: tail, complete, continued });
        }
        self.held.extend_from_slice(tail);
        give(Message { line: &self.held, complete, continued });
        self.held.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(chunks: &[&[u8]]) -> Vec<(Vec<u8>, bool, bool)> {
        let mut out = Vec::new();
        let mut s = Splitter::default();
        for c in chunks {
            s.feed(c, |m| out.push((m.line.to_vec(), m.complete, m.continued)));
        }
        s.finish(|m| out.push((m.line.to_vec(), m.complete, m.continued)));
        out
    }

    #[test]
    fn lines_across_chunks() {
        let got = run(&[b"a\nb", b"c\n\nd"]);
        let want: Vec<(&[u8], bool)> = vec![(b"a", true), (b"bc", true), (b"", true), (b"d", false)];
        assert_eq!(got.iter().map(|g| (&g.0[..], g.1)).collect::<Vec<_>>(), want);
    }

    #[test]
    fn long_lines_in_parts() {
        let mut text = vec![b'x'; MAX_LINE * 2 + 5];
        text.push(b'\n');
        for step in [1000, MAX_LINE, text.len()] {
            let got = run(&text.chunks(step).collect::<Vec<_>>());
            let lengths: Vec<_> = got.iter().map(|g| (g.0.len(), g.1, g.2)).collect();
            assert_eq!(lengths, [(MAX_LINE, false, false), (MAX_LINE, false, true), (5, true, true)]);
        }
    }

    #[test]
    fn a_full_part_then_newline() {
        let mut text = vec![b'x'; MAX_LINE];
        text.push(b'\n');
        let lengths: Vec<_> = run(&[&text]).iter().map(|g| (g.0.len(), g.1)).collect();
        assert_eq!(lengths, [(MAX_LINE, false), (0, true)]);
    }
}
