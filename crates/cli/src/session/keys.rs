//! The key sequence that leaves a container running (`ctrl-p,ctrl-q`).

/// What is used when nobody says otherwise.
pub(crate) const DEFAULT: &str = "ctrl-p,ctrl-q";

/// Looks for the sequence in what is typed.
#[derive(Debug)]
pub(crate) struct Keys {
    sequence: Vec<u8>,
    /// How many keys of the sequence were typed last, and are held back.
    matched: usize,
}

impl Keys {
    /// Parses `ctrl-p,ctrl-q`, `a,b`; empty means the default.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = if text.is_empty() { DEFAULT } else { text };
        let key = |name: &str| key(name).ok_or_else(|| format!("Unknown character: '{name}'"));
        let sequence = text.split(',').map(key).collect::<Result<_, _>>();
        let sequence = sequence.map_err(|reason| format!("invalid detach keys ({text}): {reason}"))?;
        Ok(Self { sequence, matched: 0 })
    }

    /// What of `typed` goes to the container, and whether the sequence was completed.
    pub(crate) fn filter(&mut self, typed: &[u8]) -> (Vec<u8>, bool) {
        let mut passed = Vec::with_capacity(typed.len());
        for byte in typed {
            if *byte == self.sequence[self.matched] {
                self.matched += 1;
                if self.matched == self.sequence.len() {
                    self.matched = 0;
                    return (passed, true);
                }
                continue;
            }
            passed.extend_from_slice(&self.sequence[..self.matched]);
            self.matched = 0;
            if *byte == self.sequence[0] && self.sequence.len() > 1 {
                self.matched = 1;
            } else {
                passed.push(*byte);
            }
        }
        (passed, false)
    }
}

fn key(name: &str) -> Option<u8> {
    if let [byte] = name.as_bytes() {
        return Some(*byte);
    }
    match name.to_ascii_lowercase().strip_prefix("ctrl-")?.as_bytes() {
        [letter @ b'a'..=b'z'] => Some(letter - b'a' + 1),
        [b'@'] => Some(0),
        [b'['] => Some(27),
        [b'\\'] => Some(28),
        [b']'] => Some(29),
        [b'^'] => Some(30),
        [b'_'] => Some(31),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_sequence_detaches() {
        let mut keys = Keys::parse("").unwrap();
        assert_eq!(keys.filter(b"ls\x10"), (b"ls".to_vec(), false));
        assert_eq!(keys.filter(b"\x11"), (vec![], true));
    }

    #[test]
    fn a_broken_sequence_is_passed_on() {
        let mut keys = Keys::parse("ctrl-p,ctrl-q").unwrap();
        assert_eq!(keys.filter(b"\x10x"), (b"\x10x".to_vec(), false));
        assert_eq!(keys.filter(b"\x10\x10"), (b"\x10".to_vec(), false));
        assert_eq!(keys.filter(b"\x11"), (vec![], true));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        assert!(Keys::parse("foo").unwrap_err().starts_with("invalid detach keys (foo)"));
        assert_eq!(Keys::parse("a,ctrl-]").unwrap().sequence, [b'a', 29]);
    }
}
