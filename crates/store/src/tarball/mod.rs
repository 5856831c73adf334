//! Reading and writing tar, block by block. The field layout comes from the `tar` crate; what a value may be is
//! decided here, the way Go's `archive/tar` (and so Docker) decides it.

mod entry;
mod path;
mod pax;
mod sparse;
mod stream;
mod write;

pub(crate) use entry::{Entry, Kind, Time};
pub(crate) use path::{clean, show, split};
pub(crate) use stream::{NoTap, Tap, TarStream, is_tar_start};
pub(crate) use write::TarWriter;

/// Bytes of a block.
pub(crate) const BLOCK: usize = 512;

/// Bytes that fill up the last block of `size` bytes.
pub(crate) fn padding(size: u64) -> u64 {
    size.next_multiple_of(BLOCK as u64) - size
}
