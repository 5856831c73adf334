//! The language of Dockerfiles: bytes to a typed tree that knows where everything stands, the expansion of its words,
//! `.dockerignore`, and the warnings of `docker build --check`. No I/O.
//!
//! [`Dockerfile::parse`] gives [`ast`]'s values; nothing in them is expanded, since that needs the environment of the
//! base image. Whoever lowers them calls [`expand::word`] with it. Follows the Dockerfile reference
//! (docs.docker.com/reference/dockerfile) and, where that is silent, what Docker and BuildKit do.
//!
//! All input is hostile: every count and size has a limit in [`limits`], and nothing takes more than time in proportion
//! to it.

pub mod ast;
pub mod error;
pub mod expand;
pub mod expose;
pub mod glob;
pub mod ignore;
pub mod limits;
pub mod lint;
pub mod predefined;

mod directive;
mod lines;
mod numbers;
mod parse;
mod span;
mod suggest;

pub use ast::{Dockerfile, Instruction, Stage};
pub use directive::{Check, Directives};
pub use error::Error;
pub use parse::trigger;
pub use span::{Located, Location, Span, Word};
