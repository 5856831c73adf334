//! Our engine on other people's runtimes, and our runtime under other people's engines: the same life of containers
//! each time.

mod life;
mod outside;
mod peers;
