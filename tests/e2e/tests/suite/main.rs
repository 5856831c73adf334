//! The end-to-end tests, one program so that they share one link and run in parallel.

mod bad_input;
mod changes;
mod clients;
mod escapes;
mod events;
mod files;
mod images;
mod lifecycle;
mod likeness;
mod limits;
mod logs;
mod networks;
mod peers;
mod prune;
mod sdk;
mod seen;
mod sharing;
mod stats;
mod storm;
mod survival;
mod systemd;
mod table;
mod terminal;
mod tools;
mod user_networks;
mod volumes;
