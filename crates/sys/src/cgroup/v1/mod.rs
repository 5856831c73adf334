//! cgroup v1: one directory in each mounted hierarchy, one controller per file.
//!
//! A host may mix: hierarchies without controllers (`name=systemd`) and, on hybrid hosts, the unified one
//! take part too, because membership there is what systemd reads and what `cgroup.kill`, `cgroup.freeze`
//! and `cgroup.events` act on.

mod blkio;
mod cpu;
mod cpuacct;
mod cpuset;
mod devices;
mod freezer;
mod hugetlb;
mod memory;
mod network;
mod pids;
mod rdma;
mod tree;

pub(super) use rdma::apply as apply_rdma;
pub(super) use tree::Tree;
