//! HTTP: connections, requests, answers.

pub(crate) mod answer;
pub(crate) mod call;
pub(crate) mod listen;
mod patient;
pub(crate) mod range;
pub(crate) mod route;
pub(crate) mod serve;
