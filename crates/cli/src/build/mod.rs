//! `berth build`: BuildKit's protocol on this end. The session lends what the build asks for, the solve says what is
//! wanted, and the status is shown as it comes. Everything is checked before anything is sent.

mod caches;
mod check;
mod context;
mod display;
mod du;
mod exporters;
mod far;
mod flags;
mod history;
mod layout;
mod mounts;
mod request;
mod run;
mod services;
mod temporary;

pub(crate) use du::du;
pub(crate) use flags::FLAGS;
pub(crate) use history::history;
pub(crate) use run::run;
