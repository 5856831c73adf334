//! Noticing that somebody else has changed our table: `nft flush ruleset` takes it with all others.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::nft;
use crate::error::Result;
use crate::netlink::{Listener, Notice};

/// `NFNLGRP_NFTABLES` as a mask.
const GROUP: u32 = 1 << 6;

/// A socket at which the kernel tells of every change of nftables in this network namespace. It becomes readable with
/// each, and costs nothing until then.
#[derive(Debug)]
pub struct Watch {
    listener: Listener,
    table: String,
    /// Port of the socket by which we change the table; zero as long as there is none.
    own: Arc<AtomicU32>,
}

impl Watch {
    pub(crate) fn open(table: String, own: Arc<AtomicU32>) -> Result<Self> {
        Ok(Self { listener: Listener::open(GROUP)?, table, own })
    }

    /// Reads all that the kernel has told, and waits for nothing: whether somebody else has changed our table, or may
    /// have.
    ///
    /// # Errors
    /// The socket cannot be read.
    pub fn disturbed(&mut self) -> Result<bool> {
        let (table, own) = (&self.table, self.own.load(Ordering::Acquire));
        let mut disturbed = false;
        let complete = self.listener.drain(|notice: Notice<'_>| {
            disturbed |= notice.port != own && nft::concerns(notice.kind, notice.payload, table);
        })?;
        Ok(disturbed || !complete)
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}
