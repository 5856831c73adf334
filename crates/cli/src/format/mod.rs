//! How answers become text: Go templates, tables, units, JSON with its order kept.

pub(crate) mod json;
pub(crate) mod list;
pub(crate) mod object;
pub(crate) mod ports;
pub(crate) mod table;
pub(crate) mod template;
pub(crate) mod time;
pub(crate) mod units;
