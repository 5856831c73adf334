//! Open descriptors: a daemon of many containers needs more of them than a login session is given.

use engine::container::Ulimit;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit of this process to its hard one, getrlimit(2), and makes the former one the default of
/// containers: programs inside that size tables by it, or count up to it, must not see the daemon's needs.
///
/// # Errors
/// setrlimit(2)'s.
pub(crate) fn raise(defaults: &mut Vec<Ulimit>) -> rustix::io::Result<()> {
    let given = getrlimit(Resource::Nofile);
    if given.current == given.maximum {
        return Ok(());
    }
    setrlimit(Resource::Nofile, Rlimit { current: given.maximum, maximum: given.maximum })?;
    if !defaults.iter().any(|limit| limit.name == "nofile") {
        let value = |limit: Option<u64>| limit.and_then(|limit| i64::try_from(limit).ok()).unwrap_or(-1);
        defaults.push(Ulimit {
            name: "nofile".to_owned(),
            soft: value(given.current),
            hard: value(given.maximum),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_daemon_takes_all_and_containers_keep_what_was_given() {
        let before = getrlimit(Resource::Nofile);
        let given = 700;
        assert!(before.maximum.is_none_or(|maximum| maximum > given));
        setrlimit(Resource::Nofile, Rlimit { current: Some(given), maximum: before.maximum }).unwrap();
        let mut defaults = Vec::new();
        raise(&mut defaults).unwrap();
        assert_eq!(getrlimit(Resource::Nofile).current, before.maximum);
        let kept: Vec<_> = defaults.iter().map(|limit| (limit.name.as_str(), limit.soft)).collect();
        assert_eq!(kept, [("nofile", 700)]);
        raise(&mut defaults).unwrap();
        assert_eq!(defaults.len(), 1, "what is raised already is not raised again");
    }
}
