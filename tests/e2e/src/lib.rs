//! End-to-end harness: a private `berthd` in a root of its own, images made on the spot, programs run under
//! a time-out, and one check that every test ends with: nothing is left.
//!
//! Programs come from `BERTH_TEST_PROGRAMS` or from the folder that cargo built this test into.

pub mod daemon;
pub mod debian;
pub mod etcd;
pub mod http;
pub mod image;
pub mod keep_alive;
pub mod lab;
pub mod leaks;
pub mod peers;
pub mod programs;
pub mod pty;
pub mod registry;
pub mod shape;
pub mod user;
pub mod web;

pub use daemon::Berth;
pub use programs::Ran;
