//! The kernel as safe Rust: system calls, cgroups v1 and v2, mounts, paths resolved beneath an fd.
