//! Is a description possible? Pure: no file is touched. What can't be had and may be left out becomes a warning.

mod limits;
mod network;
mod settings;
mod undelegated;

pub(crate) use limits::{Host, check_limits, count};
pub(crate) use network::{check_network, endpoint as check_endpoint};
pub(crate) use settings::check_settings;
