//! Names of containers: who is called what on which network, and the DNS messages that ask for it.
//! No I/O; the server is whoever owns the sockets (see [`ResolverSockets`]).

mod answer;
mod directory;
mod message;
mod socket;

pub use answer::{Verdict, failure};
pub use socket::{Door, ResolverSockets};

pub(crate) use answer::answer;
pub(crate) use directory::Directory;
pub(crate) use socket::ADDRESS;
