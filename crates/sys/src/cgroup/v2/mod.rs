//! cgroup v2, the unified hierarchy: one directory, one controller per file.

mod cpu;
mod cpuset;
mod devices;
mod hugetlb;
mod io;
mod memory;
mod pids;
mod tree;
mod unified;

pub(super) use hugetlb::page_sizes as huge_page_sizes;
pub(super) use tree::Tree;
