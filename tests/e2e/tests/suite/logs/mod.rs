//! Logs: what each driver sends, what is kept, and what `logs` shows of it.

mod away;
mod drivers;
mod files;
mod flood;
mod servers;
mod wire;
