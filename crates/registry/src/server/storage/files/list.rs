//! Listings of a directory: sorted, in pages, with the memory of one page.

use std::collections::BinaryHeap;
use std::fs;
use std::io;
use std::path::Path;

use super::super::Entry;

/// The first `limit` names after `after`.
pub(super) fn list(dir: &Path, after: Option<&str>, limit: usize) -> io::Result<Vec<Entry>> {
    let Some(entries) = super::present(fs::read_dir(dir))? else { return Ok(Vec::new()) };
    // the largest name is on top, and goes when there is one too many
    let mut page: BinaryHeap<Entry> = BinaryHeap::new();
    for entry in entries {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if after.is_some_and(|after| name.as_str() <= after) {
            continue;
        }
        if page.len() == limit && page.peek().is_none_or(|largest| largest.name <= name) {
            continue;
        }
        let kind = entry.file_type()?;
        if !kind.is_file() && !kind.is_dir() {
            continue;
        }
        page.push(Entry { name, is_prefix: kind.is_dir() });
        if page.len() > limit {
            page.pop();
        }
    }
    Ok(page.into_sorted_vec())
}
