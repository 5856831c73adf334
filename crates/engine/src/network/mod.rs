//! Networks as Docker sees them, over crate `network`.

mod attach;
mod info;
mod settings;

pub(crate) use attach::{adopt, attach, detach, host_gateway, ports};
pub use info::{NetworkContainer, NetworkInfo};
pub(crate) use settings::{at_rest, initial, open_config};
