//! Messages of D-Bus, as far as systemd's manager needs them (D-Bus specification, "Wire Format").

/// Largest message that is read; the specification allows 128 MiB, systemd's answers have a few hundred bytes.
pub(super) const MESSAGE_MAX: usize = 1 << 20;
/// The part of a message that says how long it is.
pub(super) const PREFIX: usize = 16;

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Call,
    Return,
    Error,
    Signal,
}

/// Header fields by number.
mod field {
    pub(super) const PATH: u8 = 1;
    pub(super) const INTERFACE: u8 = 2;
    pub(super) const MEMBER: u8 = 3;
    pub(super) const ERROR_NAME: u8 = 4;
    pub(super) const REPLY_SERIAL: u8 = 5;
    pub(super) const DESTINATION: u8 = 6;
    pub(super) const SIGNATURE: u8 = 8;
}

/// Whom a call is for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target<'a> {
    pub(super) destination: &'static str,
    pub(super) path: &'a str,
    pub(super) interface: &'static str,
}

/// Arguments, and their types in D-Bus's letters.
#[derive(Debug, Default)]
pub(super) struct Body {
    signature: String,
    bytes: Writer,
}

impl Body {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn string(mut self, text: &str) -> Self {
        self.signature.push('s');
        self.bytes.string(text);
        self
    }

    /// Named properties: `a(sv)`.
    pub(super) fn properties(mut self, properties: &[(&str, Value)]) -> Self {
        self.signature.push_str("a(sv)");
        self.bytes.array(8, |bytes| {
            for (name, value) in properties {
                bytes.align(8);
                bytes.string(name);
                bytes.variant(value);
            }
        });
        self
    }

    /// No auxiliary units: an empty `a(sa(sv))`.
    pub(super) fn no_units(mut self) -> Self {
        self.signature.push_str("a(sa(sv))");
        self.bytes.array(8, |_| {});
        self
    }

    /// An array of numbers: `au`.
    pub(super) fn numbers(mut self, values: &[u32]) -> Self {
        self.signature.push_str("au");
        self.bytes.array(4, |bytes| values.iter().for_each(|number| bytes.u32(*number)));
        self
    }

    #[cfg(test)]
    pub(super) fn number(mut self, value: u32) -> Self {
        self.signature.push('u');
        self.bytes.u32(value);
        self
    }

    #[cfg(test)]
    pub(super) fn value(mut self, value: &Value) -> Self {
        self.signature.push('v');
        self.bytes.variant(value);
        self
    }

    #[cfg(test)]
    pub(super) fn object(mut self, path: &str) -> Self {
        self.signature.push('o');
        self.bytes.string(path);
        self
    }
}

/// A property's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Texts(Vec<String>),
    Bool(bool),
    Numbers(Vec<u32>),
    Long(u64),
}

#[derive(Debug, Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn align(&mut self, to: usize) {
        self.0.resize(self.0.len().next_multiple_of(to), 0);
    }

    fn u32(&mut self, value: u32) {
        self.align(4);
        self.0.extend(value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.align(8);
        self.0.extend(value.to_le_bytes());
    }

    fn string(&mut self, text: &str) {
        self.u32(length(text.len()));
        self.0.extend(text.as_bytes());
        self.0.push(0);
    }

    fn signature(&mut self, text: &str) {
        self.0.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
        self.0.extend(text.as_bytes());
        self.0.push(0);
    }

    /// An array; its length counts from the first element, after the padding.
    fn array(&mut self, element_alignment: usize, fill: impl FnOnce(&mut Self)) {
        self.u32(0);
        let at = self.0.len();
        self.align(element_alignment);
        let start = self.0.len();
        fill(self);
        let len = length(self.0.len() - start);
        self.0[at - 4..at].copy_from_slice(&len.to_le_bytes());
    }

    fn variant(&mut self, value: &Value) {
        match value {
            Value::Text(text) => {
                self.signature("s");
                self.string(text);
            }
            Value::Texts(texts) => {
                self.signature("as");
                self.array(4, |bytes| texts.iter().for_each(|text| bytes.string(text)));
            }
            Value::Bool(value) => {
                self.signature("b");
                self.u32(u32::from(*value));
            }
            Value::Numbers(numbers) => {
                self.signature("au");
                self.array(4, |bytes| numbers.iter().for_each(|number| bytes.u32(*number)));
            }
            Value::Long(value) => {
                self.signature("t");
                self.u64(*value);
            }
        }
    }
}

fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// A method call, ready to be sent.
pub(super) fn call(serial: u32, target: &Target<'_>, member: &str, body: &Body) -> Vec<u8> {
    let fields = [
        (field::PATH, "o", target.path),
        (field::DESTINATION, "s", target.destination),
        (field::INTERFACE, "s", target.interface),
        (field::MEMBER, "s", member),
    ];
    message(1, serial, &fields, None, body)
}

fn message(
    kind: u8,
    serial: u32,
    fields: &[(u8, &str, &str)],
    reply_to: Option<u32>,
    body: &Body,
) -> Vec<u8> {
    let mut out = Writer(vec![b'l', kind, 0, 1]);
    out.u32(length(body.bytes.0.len()));
    out.u32(serial);
    out.array(8, |bytes| {
        for (code, signature, text) in fields {
            bytes.align(8);
            bytes.0.push(*code);
            bytes.signature(signature);
            bytes.string(text);
        }
        if let Some(reply_to) = reply_to {
            bytes.align(8);
            bytes.0.push(field::REPLY_SERIAL);
            bytes.signature("u");
            bytes.u32(reply_to);
        }
        if !body.signature.is_empty() {
            bytes.align(8);
            bytes.0.push(field::SIGNATURE);
            bytes.signature("g");
            bytes.signature(&body.signature);
        }
    });
    out.align(8);
    out.0.extend(&body.bytes.0);
    out.0
}

/// A message that was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) kind: Kind,
    pub(super) serial: u32,
    pub(super) reply_to: Option<u32>,
    pub(super) member: Option<String>,
    pub(super) error: Option<String>,
    /// The arguments that are numbers, texts or paths, or variants of these, up to the first of another type.
    pub(super) words: Vec<Word>,
}

/// A simple argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Number(u32),
    Text(String),
}

impl Message {
    /// The text at `index`.
    pub(super) fn text(&self, index: usize) -> Option<&str> {
        match self.words.get(index) {
            Some(Word::Text(text)) => Some(text),
            _ => None,
        }
    }
}

/// The length of the whole message that begins with `prefix`; `None` when that is no message or too long.
pub(super) fn total(prefix: &[u8; PREFIX]) -> Option<usize> {
    let read = Reader { bytes: prefix, at: 0, big: prefix[0] == b'B' };
    let (body, fields) = (read.number_at(4)? as usize, read.number_at(12)? as usize);
    let header = PREFIX.checked_add(fields)?.checked_next_multiple_of(8)?;
    let known = matches!(prefix[0], b'l' | b'B') && prefix[3] == 1;
    header.checked_add(body).filter(|&total| known && total <= MESSAGE_MAX)
}

/// Reads a whole message; `None` when it breaks the rules.
pub(super) fn parse(bytes: &[u8]) -> Option<Message> {
    let prefix: &[u8; PREFIX] = bytes.first_chunk()?;
    if total(prefix)? != bytes.len() {
        return None;
    }
    let kind = match prefix[1] {
        1 => Kind::Call,
        2 => Kind::Return,
        3 => Kind::Error,
        4 => Kind::Signal,
        _ => return None,
    };
    let mut read = Reader { bytes, at: 8, big: prefix[0] == b'B' };
    let serial = read.u32()?;
    let end = read.u32()? as usize + PREFIX;
    let mut message = Message { kind, serial, reply_to: None, member: None, error: None, words: Vec::new() };
    let mut signature = String::new();
    while read.at < end {
        read.align(8)?;
        let code = read.byte()?;
        let kind = read.signature()?;
        match (code, kind.as_str()) {
            (field::REPLY_SERIAL, "u") => message.reply_to = Some(read.u32()?),
            (field::MEMBER, "s") => message.member = Some(read.string()?),
            (field::ERROR_NAME, "s") => message.error = Some(read.string()?),
            (field::SIGNATURE, "g") => signature = read.signature()?,
            (_, "s" | "o") => drop(read.string()?),
            (_, "g") => drop(read.signature()?),
            (_, "u") => drop(read.u32()?),
            _ => return None,
        }
    }
    read.align(8)?;
    for letter in signature.chars() {
        // a property's value says itself of what type it is
        let kind = if letter == 'v' { read.signature()? } else { letter.to_string() };
        message.words.push(match kind.as_str() {
            "u" => Word::Number(read.u32()?),
            "s" | "o" => Word::Text(read.string()?),
            _ => break,
        });
    }
    Some(message)
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    big: bool,
}

impl Reader<'_> {
    fn align(&mut self, to: usize) -> Option<()> {
        self.at = self.at.next_multiple_of(to);
        (self.at <= self.bytes.len()).then_some(())
    }

    fn number_at(&self, at: usize) -> Option<u32> {
        let bytes = self.bytes.get(at..)?.first_chunk()?;
        Some(if self.big { u32::from_be_bytes(*bytes) } else { u32::from_le_bytes(*bytes) })
    }

    fn byte(&mut self) -> Option<u8> {
        self.at += 1;
        self.bytes.get(self.at - 1).copied()
    }

    fn u32(&mut self) -> Option<u32> {
        self.align(4)?;
        self.at += 4;
        self.number_at(self.at - 4)
    }

    fn string(&mut self) -> Option<String> {
        let len = self.u32()? as usize;
        self.text(len)
    }

    fn signature(&mut self) -> Option<String> {
        let len = self.byte()?;
        self.text(usize::from(len))
    }

    /// Text that ends in a zero byte, which is not counted.
    fn text(&mut self, len: usize) -> Option<String> {
        let end = self.at.checked_add(len)?;
        let text = std::str::from_utf8(self.bytes.get(self.at..end)?).ok()?;
        if self.bytes.get(end) != Some(&0) {
            return None;
        }
        self.at = end + 1;
        Some(text.to_owned())
    }
}

#[cfg(test)]
pub(super) mod tests;
