//! One verb, one file: each is an `impl Engine` of its methods beside the types of its request and answer.

mod attach;
mod checkpoint;
mod create;
mod exec;
mod files;
mod inspect;
mod kill;
mod list;
mod logs;
mod pause;
mod prune;
mod remove;
mod rename;
mod resize;
mod sessions;
mod start;
mod stats;
mod stop;
mod top;
mod update;
mod wait;

pub(crate) use attach::attached;
pub use attach::{AttachOptions, Attached, Chunk, Source};
pub use checkpoint::CheckpointOptions;
pub use create::{CreateRequest, Created};
pub use exec::{Exec, ExecConfig, ExecStart, ExecStarted};
pub use files::{CommitOptions, ExtractOptions, PathStat};
pub use list::{ListOptions, Listed, Size};
pub use logs::{LogEntry, Logs, LogsOptions, Tail};
pub use prune::Pruned;
pub use remove::RemoveOptions;
pub(crate) use sessions::Execs;
pub use stats::Stats;
pub use stop::StopOptions;
pub use top::Top;
pub use update::Update;

pub use wait::{WaitCondition, WaitResult, Waiter};
