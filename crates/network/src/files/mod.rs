//! The three files that tell a container who and where it is. Pure, except [`host`].

pub mod host;
pub mod hosts;
pub mod resolv;

/// Contents of `/etc/hostname`.
pub fn hostname(name: &str) -> String {
    format!("{name}\n")
}
