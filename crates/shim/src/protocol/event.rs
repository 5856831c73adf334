//! What happens by itself.

use serde::{Deserialize, Serialize};

use super::ExitRecord;

/// Sent to each connection that has said hello.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// The container has ended; `exit.json` is on disk.
    Exited(ExitRecord),
    /// An exec session has ended.
    ExecExited {
        /// The session.
        exec_id: String,
        /// Exit code; 128 + n after signal n.
        code: i32,
    },
    /// The kernel has killed a process of the container for want of memory.
    OomKilled,
    /// A client has typed its detach keys.
    Detached {
        /// The client's number.
        client: u64,
        /// The session it was attached to; `None` is the container itself.
        exec_id: Option<String>,
    },
}
