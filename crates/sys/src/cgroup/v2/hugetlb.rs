//! `hugetlb.*` (`cgroup-v2.rst`, "HugeTLB").

use std::collections::BTreeMap;

use super::super::dir::{Dir, field};
use super::super::{Controller, HugepageStats, Result};
use super::tree::Group;

pub(super) fn apply(group: &Group<'_>, limits: &[(String, u64)]) -> Result<()> {
    if limits.is_empty() {
        return Ok(());
    }
    let dir = group.need(Controller::Hugetlb, "a limit of huge pages")?;
    for (size, bytes) in limits {
        dir.write(&format!("hugetlb.{size}.max"), bytes)?;
        // Reservations are counted apart since Linux 5.7.
        let reserved = format!("hugetlb.{size}.rsvd.max");
        if dir.has(&reserved) {
            dir.write(&reserved, bytes)?;
        }
    }
    Ok(())
}

pub(super) fn stats(dir: &Dir) -> Result<BTreeMap<String, HugepageStats>> {
    let mut all = BTreeMap::new();
    if !dir.has("cgroup.controllers") || !dir.read("cgroup.controllers")?.contains("hugetlb") {
        return Ok(all);
    }
    for size in page_sizes() {
        let Some(usage) = dir.number(&format!("hugetlb.{size}.current"))? else { continue };
        let events = dir.read_if_any(&format!("hugetlb.{size}.events"))?.unwrap_or_default();
        let fail_count = field(&events, "max").unwrap_or(0);
        all.insert(size, HugepageStats { usage, max_usage: None, fail_count });
    }
    Ok(all)
}

/// The sizes of huge pages that this machine has, in the spelling of the control files (`2MB`, `1GB`).
pub(crate) fn page_sizes() -> Vec<String> {
    let Ok(entries) = std::fs::read_dir("/sys/kernel/mm/hugepages") else { return Vec::new() };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut kilobytes: Vec<u64> =
        names.filter_map(|name| name.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok()).collect();
    kilobytes.sort_unstable();
    kilobytes.into_iter().map(spell).collect()
}

fn spell(kilobytes: u64) -> String {
    match kilobytes {
        large if large >= 1 << 20 => format!("{}GB", large >> 20),
        middle if middle >= 1 << 10 => format!("{}MB", middle >> 10),
        small => format!("{small}KB"),
    }
}

#[cfg(test)]
mod tests {
    use super::spell;

    #[test]
    fn sizes_as_the_files_spell_them() {
        assert_eq!([spell(64), spell(2048), spell(1 << 20)], ["64KB", "2MB", "1GB"]);
    }
}
