//! What can be done with networks; one file a verb.

mod connect;
mod create;
mod disconnect;
mod event;
mod inspect;
mod prune;
mod remove;

pub use create::{NetworkMade, NetworkRequest, SubnetRequest};

pub(crate) use connect::Joining;
pub(crate) use disconnect::{live as leave_live, not_connected};
pub(crate) use event::{driver_of, publish, publish_all};
