//! Netlink (netlink(7)): our own codec, over one socket, with many messages in one send.
//!
//! [`Batch`] writes requests, [`Socket`] sends them and checks every acknowledgement, [`attr`]
//! reads what comes back. Integers are in the host's byte order unless a field says otherwise.

pub(crate) mod attr;
mod batch;
mod listener;
mod monitor;
mod reply;
mod socket;

pub(crate) use batch::{Batch, Message};
pub(crate) use listener::{Listener, Notice};
pub(crate) use monitor::Monitor;
pub(crate) use reply::Reply;
pub(crate) use socket::{Protocol, Socket};

/// Length of `struct nlmsghdr`.
const HEADER_LEN: usize = 16;

/// `NLMSG_ERROR`: an acknowledgement, or an error.
const MSG_ERROR: u16 = 2;
/// `NLMSG_DONE`: the end of a dump.
const MSG_DONE: u16 = 3;

/// Flags of a request (`NLM_F_*`).
pub(crate) mod flag {
    /// This is a request.
    pub(crate) const REQUEST: u16 = 0x1;
    /// Acknowledge it, also when it succeeds.
    pub(crate) const ACK: u16 = 0x4;
    /// Every object, not one.
    pub(crate) const DUMP: u16 = 0x300;
    /// Replace an object that exists.
    pub(crate) const REPLACE: u16 = 0x100;
    /// Fail when the object exists.
    pub(crate) const EXCL: u16 = 0x200;
    /// Make the object when it doesn't exist.
    pub(crate) const CREATE: u16 = 0x400;
    /// Add at the end of the list (nftables rules).
    pub(crate) const APPEND: u16 = 0x800;
    /// In an acknowledgement: the request's payload is left out.
    pub(crate) const CAPPED: u16 = 0x100;
    /// In an acknowledgement: attributes with explanations follow.
    pub(crate) const ACK_TLVS: u16 = 0x200;
}

/// `len` rounded up to the alignment of headers and attributes (`NLMSG_ALIGN`, `NLA_ALIGN`).
const fn align(len: usize) -> usize {
    (len + 3) & !3
}

#[cfg(test)]
mod tests;
