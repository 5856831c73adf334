//! Hosts of a test's own: network namespaces in which engines run, so that bridges, rules and switches of the
//! machine stay as they are.

mod netns;

pub use netns::Namespace;
