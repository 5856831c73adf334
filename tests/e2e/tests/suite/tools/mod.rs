//! Tools of other people that speak to Docker, unchanged, on a project of three services with volumes and
//! health checks: brought up, changed, taken down.

mod ansible;
mod compose;
mod testcontainers;
