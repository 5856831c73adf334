//! `hugetlb.*` (`admin-guide/cgroup-v1/hugetlb.rst`).

use std::collections::BTreeMap;

use super::super::dir::Dir;
use super::super::{Controller, Error, HugepageStats, Result};

pub(super) fn apply(dir: Option<&Dir>, limits: &[(String, u64)]) -> Result<()> {
    if limits.is_empty() {
        return Ok(());
    }
    let missing = Error::NoController { controller: Controller::Hugetlb, setting: "a limit of huge pages" };
    let dir = dir.ok_or(missing)?;
    for (size, bytes) in limits {
        dir.write(&format!("hugetlb.{size}.limit_in_bytes"), bytes)?;
        // Reservations are counted apart since Linux 5.7.
        let reserved = format!("hugetlb.{size}.rsvd.limit_in_bytes");
        if dir.has(&reserved) {
            dir.write(&reserved, bytes)?;
        }
    }
    Ok(())
}

pub(super) fn stats(dir: &Dir) -> Result<BTreeMap<String, HugepageStats>> {
    let mut all = BTreeMap::new();
    for size in super::super::v2::huge_page_sizes() {
        let file = |name: &str| format!("hugetlb.{size}.{name}");
        let Some(usage) = dir.number(&file("usage_in_bytes"))? else { continue };
        let max_usage = dir.number(&file("max_usage_in_bytes"))?;
        let fail_count = dir.number(&file("failcnt"))?.unwrap_or(0);
        all.insert(size, HugepageStats { usage, max_usage, fail_count });
    }
    Ok(all)
}
