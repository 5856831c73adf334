//! Detach keys: `ctrl-p,ctrl-q` typed into a terminal leaves the container running.

/// The keys when nobody says otherwise: `ctrl-p,ctrl-q`.
pub const DEFAULT: [u8; 2] = [16, 17];

/// Longest sequence accepted.
pub const MAX_KEYS: usize = 16;

/// A detach sequence that can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Unknown character: '{0}'")]
pub struct ParseError(pub String);

/// The bytes of a sequence such as `ctrl-x,a`: single characters, `DEL`, or `ctrl-` with one of `a-z@[\]^_`.
/// The empty string is no sequence.
///
/// # Errors
/// Names the part that is not a key.
pub fn parse(text: &str) -> Result<Vec<u8>, ParseError> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let keys = text.split(',').map(key).collect::<Result<Vec<u8>, _>>()?;
    if keys.len() > MAX_KEYS {
        return Err(ParseError(text.to_owned()));
    }
    Ok(keys)
}

fn key(text: &str) -> Result<u8, ParseError> {
    let unknown = || ParseError(text.to_owned());
    if let [byte] = text.as_bytes() {
        return Ok(*byte);
    }
    if text.eq_ignore_ascii_case("del") {
        return Ok(127);
    }
    match text.strip_prefix("ctrl-").map(str::as_bytes) {
        Some([letter @ (b'a'..=b'z' | b'@' | b'['..=b'_')]) => Ok(letter & 0x1f),
        _ => Err(unknown()),
    }
}

/// Watches one client's input for its keys.
#[derive(Debug, Clone, Default)]
pub struct Detector {
    keys: Vec<u8>,
    matched: usize,
}

/// What became of a chunk of input.
#[derive(Debug, PartialEq, Eq)]
pub struct Scanned {
    /// Bytes for the container.
    pub pass: Vec<u8>,
    /// The whole sequence was typed; what followed it is dropped.
    pub detached: bool,
}

impl Detector {
    /// A watcher for these keys; empty = never.
    #[must_use]
    pub fn new(keys: Vec<u8>) -> Self {
        Self { keys, matched: 0 }
    }

    /// Whether any keys are watched for.
    #[must_use]
    pub fn is_active(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Take a chunk. Keys that began a sequence are held back until it is clear that they don't end it.
    pub fn scan(&mut self, input: &[u8]) -> Scanned {
        if self.keys.is_empty() {
            return Scanned { pass: input.to_vec(), detached: false };
        }
        let mut pass = Vec::with_capacity(input.len() + self.matched);
        for &byte in input {
            self.step(byte, &mut pass);
            if self.matched == self.keys.len() {
                self.matched = 0;
                return Scanned { pass, detached: true };
            }
        }
        Scanned { pass, detached: false }
    }

    fn step(&mut self, byte: u8, pass: &mut Vec<u8>) {
        if self.keys[self.matched] == byte {
            self.matched += 1;
            return;
        }
        pass.extend_from_slice(&self.keys[..self.matched]);
        self.matched = 0;
        if self.keys[0] == byte {
            self.matched = 1;
        } else {
            pass.push(byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences() {
        assert_eq!(parse("ctrl-p,ctrl-q"), Ok(vec![16, 17]));
        assert_eq!(parse("ctrl-x,a"), Ok(vec![24, b'a']));
        assert_eq!(parse("ctrl-@,ctrl-[,ctrl-_,DEL"), Ok(vec![0, 27, 31, 127]));
        assert_eq!(parse(""), Ok(vec![]));
        assert_eq!(parse("ctrl-P"), Err(ParseError("ctrl-P".into())));
        assert!(parse("a,,b").is_err());
        assert!(parse(&vec!["a"; 17].join(",")).is_err());
    }

    #[test]
    fn detaches_across_chunks() {
        let mut d = Detector::new(DEFAULT.to_vec());
        assert_eq!(d.scan(b"ls\x10"), Scanned { pass: b"ls".to_vec(), detached: false });
        assert_eq!(d.scan(b"\x11rest"), Scanned { pass: vec![], detached: true });
    }

    #[test]
    fn gives_back_what_did_not_match() {
        let mut d = Detector::new(DEFAULT.to_vec());
        assert_eq!(d.scan(b"\x10x").pass, b"\x10x");
        assert_eq!(d.scan(b"\x10\x10\x11"), Scanned { pass: vec![16], detached: true });
    }
}
