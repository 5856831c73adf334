//! What kinds of network there are. Each kind that can be made has a file here, which reads its
//! options; the manager asks it what to make.

pub(crate) mod bridge;

use crate::error::{Error, Result};

/// Kinds of network that Docker has and that are not there yet.
const PLANNED: [&str; 3] = ["ipvlan", "macvlan", "overlay"];

/// Refuses a driver that cannot make a network for a person.
pub(crate) fn check(driver: &str) -> Result<()> {
    match driver {
        "bridge" => Ok(()),
        "host" | "null" => {
            Err(Error::Forbidden(format!("only one instance of \"{driver}\" network is allowed")))
        }
        planned if PLANNED.contains(&planned) => {
            Err(Error::Unsupported(format!("networks of the driver {planned} are not supported yet")))
        }
        other => {
            let shown: String = other.chars().take(64).collect();
            Err(Error::NoSuchDriver(shown))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drivers_are_refused_by_name() {
        assert!(check("bridge").is_ok());
        assert!(check("macvlan").expect_err("planned").to_string().contains("macvlan"));
        assert!(check("host").expect_err("one only").to_string().contains("only one instance of \"host\""));
        assert_eq!(check("foo").expect_err("unknown").to_string(), "plugin \"foo\" not found");
    }
}
