//! Bytes from a terminal as keys: UTF-8, control characters, and the sequences of xterm and its kin.

/// A key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// A character.
    Char(char),
    /// Control and a letter.
    Ctrl(char),
    Enter,
    Escape,
    Tab,
    BackTab,
    Backspace,
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    Home,
    End,
}

/// The longest sequence that is waited for.
const MAX_SEQUENCE: usize = 16;

/// Bytes that are not yet a whole key.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    pending: Vec<u8>,
}

impl Keys {
    /// Has a key begun whose end is not there?
    pub(crate) fn is_open(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Takes bytes, gives the keys that they complete.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Vec<Key> {
        self.pending.extend_from_slice(bytes);
        let mut keys = Vec::new();
        while let Some((key, length)) = next(&self.pending) {
            keys.extend(key);
            self.pending.drain(..length);
        }
        keys
    }

    /// No more comes for now: a lone escape character is the key of that name, and the rest is noise.
    pub(crate) fn close(&mut self) -> Vec<Key> {
        let pending = std::mem::take(&mut self.pending);
        if pending == [ESCAPE] { vec![Key::Escape] } else { Vec::new() }
    }
}

const ESCAPE: u8 = 0x1b;

/// The first key, if it means something, and its bytes; nothing when its end is missing.
fn next(bytes: &[u8]) -> Option<(Option<Key>, usize)> {
    let key = match *bytes.first()? {
        ESCAPE => return sequence(bytes),
        b'\r' | b'\n' => Key::Enter,
        b'\t' => Key::Tab,
        0x7f | 0x08 => Key::Backspace,
        control @ 1..=26 => Key::Ctrl(char::from(b'a' + control - 1)),
        0 | 28..=31 => return Some((None, 1)),
        first => return character(bytes, first),
    };
    Some((Some(key), 1))
}

fn character(bytes: &[u8], first: u8) -> Option<(Option<Key>, usize)> {
    let length = match first {
        0x20..=0x7e => 1,
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return Some((None, 1)),
    };
    let whole = bytes.get(..length)?;
    match std::str::from_utf8(whole) {
        Ok(text) => Some((text.chars().next().map(Key::Char), length)),
        Err(_) => Some((None, 1)),
    }
}

/// `ESC [ parameters letter` and `ESC O letter` (ECMA-48, xterm's "PC-style function keys").
fn sequence(bytes: &[u8]) -> Option<(Option<Key>, usize)> {
    match bytes.get(1)? {
        b'[' => {}
        b'O' => {
            let key = by_letter(*bytes.get(2)?);
            return Some((key, 3));
        }
        // two keys: escape, and whatever that is
        _ => return Some((Some(Key::Escape), 1)),
    }
    let Some(end) = bytes.iter().skip(2).position(|byte| (0x40..=0x7e).contains(byte)) else {
        return (bytes.len() > MAX_SEQUENCE).then_some((None, bytes.len()));
    };
    let (parameters, last) = (&bytes[2..2 + end], bytes[2 + end]);
    let key = match (last, parameters.split(|&b| b == b';').next().unwrap_or_default()) {
        (b'~', b"1" | b"7") => Some(Key::Home),
        (b'~', b"4" | b"8") => Some(Key::End),
        (b'~', b"5") => Some(Key::PageUp),
        (b'~', b"6") => Some(Key::PageDown),
        (b'Z', _) => Some(Key::BackTab),
        (letter, _) => by_letter(letter),
    };
    Some((key, end + 3))
}

fn by_letter(letter: u8) -> Option<Key> {
    Some(match letter {
        b'A' => Key::Up,
        b'B' => Key::Down,
        b'C' => Key::Right,
        b'D' => Key::Left,
        b'H' => Key::Home,
        b'F' => Key::End,
        b'M' => Key::Enter,
        _ => return None,
    })
}
