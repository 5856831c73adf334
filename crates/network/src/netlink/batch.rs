//! Writing requests.

use super::{HEADER_LEN, align, flag};

/// `NLA_F_NESTED`: the attribute's value is attributes.
const NESTED: u16 = 0x8000;

/// Messages that go out in one send. Each knows what it does in words, for the error that may
/// come back.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    actions: Vec<String>,
    /// Where the last message starts.
    last: usize,
}

impl Batch {
    /// Appends a request of the given type; `flags` are added to `NLM_F_REQUEST`. `fill` writes
    /// the payload. Its sequence number is its place, from zero, until [`Self::numbered`].
    pub(crate) fn push(
        &mut self,
        action: impl Into<String>,
        kind: u16,
        flags: u16,
        fill: impl FnOnce(&mut Message<'_>),
    ) {
        let start = self.bytes.len();
        self.last = start;
        let sequence = u32::try_from(self.actions.len()).unwrap_or(u32::MAX);
        self.actions.push(action.into());
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(&(flags | flag::REQUEST).to_ne_bytes());
        self.bytes.extend_from_slice(&sequence.to_ne_bytes());
        self.bytes.extend_from_slice(&[0; 4]);
        fill(&mut Message { bytes: &mut self.bytes });
        let len = u32::try_from(self.bytes.len() - start).unwrap_or(u32::MAX);
        self.bytes[start..start + 4].copy_from_slice(&len.to_ne_bytes());
        self.pad();
    }

    /// Asks for an acknowledgement of the last message.
    pub(crate) fn acknowledge_last(&mut self) {
        if let Some(flags) = self.bytes.get_mut(self.last + 6..self.last + 8) {
            let present = u16::from_ne_bytes([flags[0], flags[1]]);
            flags.copy_from_slice(&(present | flag::ACK).to_ne_bytes());
        }
    }

    /// What follows the last message's header: for a dump, which is sent by itself.
    pub(crate) fn last_payload(&self) -> &[u8] {
        self.bytes.get(self.last + HEADER_LEN..).unwrap_or_default()
    }

    /// How many messages there are.
    pub(crate) fn len(&self) -> usize {
        self.actions.len()
    }

    /// What message `index` does.
    pub(super) fn action(&self, index: usize) -> String {
        self.actions.get(index).cloned().unwrap_or_else(|| "netlink request".to_owned())
    }

    /// The bytes to send, with sequence numbers counted from `first`.
    pub(super) fn numbered(&mut self, first: u32) -> &[u8] {
        let (mut at, mut sequence) = (0, first);
        while at + HEADER_LEN <= self.bytes.len() {
            self.bytes[at + 8..at + 12].copy_from_slice(&sequence.to_ne_bytes());
            let len = u32::from_ne_bytes([
                self.bytes[at],
                self.bytes[at + 1],
                self.bytes[at + 2],
                self.bytes[at + 3],
            ]);
            at += align(len as usize).max(HEADER_LEN);
            sequence = sequence.wrapping_add(1);
        }
        &self.bytes
    }

    fn pad(&mut self) {
        self.bytes.resize(align(self.bytes.len()), 0);
    }
}

/// The payload of one message, being written.
#[derive(Debug)]
pub(crate) struct Message<'b> {
    bytes: &'b mut Vec<u8>,
}

impl Message<'_> {
    /// Appends raw bytes: the fixed header that follows `nlmsghdr`.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self.pad()
    }

    /// An attribute with any value.
    pub(crate) fn bytes(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        self.open(kind, value.len());
        self.bytes.extend_from_slice(value);
        self.pad()
    }

    /// A byte.
    pub(crate) fn u8(&mut self, kind: u16, value: u8) -> &mut Self {
        self.bytes(kind, &[value])
    }

    /// A 32-bit integer in the host's order.
    pub(crate) fn u32(&mut self, kind: u16, value: u32) -> &mut Self {
        self.bytes(kind, &value.to_ne_bytes())
    }

    /// A 32-bit integer in network order (all of nftables).
    pub(crate) fn be32(&mut self, kind: u16, value: u32) -> &mut Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// A string with its final zero.
    pub(crate) fn text(&mut self, kind: u16, value: &str) -> &mut Self {
        self.open(kind, value.len() + 1);
        self.bytes.extend_from_slice(value.as_bytes());
        self.bytes.push(0);
        self.pad()
    }

    /// Attributes in an attribute.
    pub(crate) fn nested(&mut self, kind: u16, fill: impl FnOnce(&mut Message<'_>)) -> &mut Self {
        let start = self.bytes.len();
        self.open(kind | NESTED, 0);
        fill(&mut Message { bytes: &mut *self.bytes });
        let len = u16::try_from(self.bytes.len() - start).unwrap_or(u16::MAX);
        self.bytes[start..start + 2].copy_from_slice(&len.to_ne_bytes());
        self
    }

    fn open(&mut self, kind: u16, len: usize) {
        let len = u16::try_from(len + 4).unwrap_or(u16::MAX);
        self.bytes.extend_from_slice(&len.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
    }

    fn pad(&mut self) -> &mut Self {
        self.bytes.resize(align(self.bytes.len()), 0);
        self
    }
}
