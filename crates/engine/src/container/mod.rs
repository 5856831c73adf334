//! Containers: what they are (`model`), what can be done (`verb`), and how a description becomes a process (`spec`).

pub(crate) mod book;
pub(crate) mod cdi;
mod change;
mod changes;
pub(crate) mod check;
pub(crate) mod checkpoint;
pub(crate) mod files;
pub(crate) mod host;
pub(crate) mod links;
mod logging;
pub(crate) mod merge;
pub mod mode;
mod model;
mod policy;
mod ports;
pub(crate) mod record;
pub(crate) mod registry;
mod rootfs;
pub(crate) mod security;
mod signal;
mod spec;
pub(crate) mod start;
pub(crate) mod stats;
pub mod system;
pub(crate) mod task;
mod verb;
pub(crate) mod view;

pub(crate) use check::{Host, check_endpoint};
pub(crate) use host::facts;
pub(crate) use logging::check as check_log;
pub(crate) use policy::{conclude, starts_with_daemon};
pub(crate) use ports::{apart_set, fold_set, parse as parse_port};
pub(crate) use rootfs::{image_ids, owners, root_of_process};
pub(crate) use spec::{FileMount, limits, rlimit_type};
pub(crate) use verb::{Execs, attached};

#[cfg(test)]
pub(crate) use spec::tests::container as sample;

pub use changes::Changes;
pub use model::*;
pub use stats::{CpuSample, Sample, Traffic};
pub use store::{Change, ChangeKind};
pub use verb::{
    AttachOptions, Attached, CheckpointOptions, Chunk, CommitOptions, CreateRequest, Created, Exec,
    ExecConfig, ExecStart, ExecStarted, ExtractOptions, ListOptions, Listed, LogEntry, Logs, LogsOptions,
    PathStat, Pruned, RemoveOptions, Size, Source, Stats, StopOptions, Tail, Top, Update, WaitCondition,
    WaitResult, Waiter,
};
