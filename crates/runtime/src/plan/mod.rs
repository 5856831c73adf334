//! What has to be done, worked out before anything is made: whatever the specification has wrong is said here.

pub(crate) mod caps;
pub(crate) mod mounts;
pub(crate) mod namespaces;
pub(crate) mod options;
pub(crate) mod process;
pub(crate) mod root;
pub(crate) mod sysctl;
