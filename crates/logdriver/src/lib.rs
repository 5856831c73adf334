//! Log drivers: their options checked, and the program that forwards a container's output.
//!
//! [`configure`] turns `--log-driver` and `--log-opt` into what a shim is told. The shim writes files itself; what goes to
//! syslog, fluentd, gelf or journald it hands to [`forward::run`], in a process of its own that may wait for a server as long
//! as it must. A driver that keeps nothing to be read gets a file beside it (the cache), so that `logs` always works.

mod context;
mod driver;
mod error;
pub mod forward;
mod options;
mod settings;
mod tag;

pub use context::{Context, Options, Places};
pub use error::OptionError;
pub use options::{DRIVERS, configure, kept};
