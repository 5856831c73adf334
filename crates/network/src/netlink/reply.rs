//! Reading what the kernel answers.

use rustix::io::Errno;

use super::{HEADER_LEN, MSG_DONE, MSG_ERROR, align, attr, flag};

/// `NLMSGERR_ATTR_MSG`: the explanation in words.
const ERROR_TEXT: u16 = 1;

/// An object that the kernel sent: its message type, and its payload after `nlmsghdr`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    /// Message type.
    pub(crate) kind: u16,
    /// Payload.
    pub(crate) payload: Vec<u8>,
}

/// One message of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// An object.
    Object(Reply),
    /// The request succeeded.
    Done,
    /// The request failed.
    Failed(Errno, Option<String>),
}

/// Splits a datagram into its messages, each with the sequence number of its request.
pub(super) fn split(mut bytes: &[u8]) -> impl Iterator<Item = (u32, Answer)> {
    std::iter::from_fn(move || {
        let len = attr::u32_at(bytes, 0)? as usize;
        let (kind, flags) = (attr::u16_at(bytes, 4)?, attr::u16_at(bytes, 6)?);
        let sequence = attr::u32_at(bytes, 8)?;
        let payload = bytes.get(HEADER_LEN..len)?;
        bytes = bytes.get(align(len)..).unwrap_or_default();
        Some((sequence, answer(kind, flags, payload)))
    })
}

fn answer(kind: u16, flags: u16, payload: &[u8]) -> Answer {
    match kind {
        MSG_ERROR => acknowledgement(flags, payload),
        // A dump may end in an error too.
        MSG_DONE => match attr::u32_at(payload, 0) {
            Some(code) if code != 0 => {
                Answer::Failed(errno(code), explanation(payload.get(4..).unwrap_or_default(), flags))
            }
            _ => Answer::Done,
        },
        kind => Answer::Object(Reply { kind, payload: payload.to_vec() }),
    }
}

/// `struct nlmsgerr`: the negative error, the request's header, the request's payload unless
/// capped, then explanations.
fn acknowledgement(flags: u16, payload: &[u8]) -> Answer {
    let code = attr::u32_at(payload, 0).unwrap_or(0);
    if code == 0 {
        return Answer::Done;
    }
    let echoed = if flags & flag::CAPPED == 0 {
        attr::u32_at(payload, 4).map_or(HEADER_LEN, |len| align(len as usize))
    } else {
        HEADER_LEN
    };
    Answer::Failed(errno(code), explanation(payload.get(4 + echoed..).unwrap_or_default(), flags))
}

fn explanation(attributes: &[u8], flags: u16) -> Option<String> {
    if flags & flag::ACK_TLVS == 0 {
        return None;
    }
    attr::find(attributes, ERROR_TEXT).map(attr::text).filter(|text| !text.is_empty())
}

fn errno(negated: u32) -> Errno {
    Errno::from_raw_os_error(negated.cast_signed().saturating_neg())
}
