//! The OCI runtime: config.json in, a process out. No threads, no async.
