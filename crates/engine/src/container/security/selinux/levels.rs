//! Pairs of categories, each one container's. Nothing is kept beside the containers' records: what these say is taken,
//! what they don't is free. In memory are those of containers that are only being made, of steps of builds, and of
//! records that can't be read.

use std::collections::HashSet;

use sys::selinux::Context;

use super::options::{self, UNSEPARATED};
use super::{known, random};
use crate::container::Container;
use crate::container::book::Taken;
use crate::engine::Inner;
use crate::error::{Error, Result};

/// Categories of a policy, `c0` to `c1023`.
const CATEGORIES: u16 = 1024;
/// Pairs that are tried at random before all are looked through.
const TRIES: usize = 32;

/// Gives a container its labels, where containers have any.
///
/// # Errors
/// An option is wrong, or the policy does not know what is asked for; no pair is left.
pub(crate) fn take(engine: &Inner, container: &mut Container) -> Result<Option<Taken<String>>> {
    let selinux = &engine.selinux;
    let Some(contexts) = &selinux.contexts else { return Ok(None) };
    let options = engine.security(&container.host)?.labels;
    let mut book = selinux.book.lock();
    let snapshots: Vec<_> = engine.containers.all().iter().map(|entry| entry.snapshot()).collect();
    let others = snapshots.iter().filter(|other| other.id != container.id);
    let labels = others.flat_map(|other| [&other.process_label, &other.mount_label]);
    let mut used: HashSet<String> = labels.filter_map(|label| label.parse::<Context>().ok()?.level).collect();
    used.extend(book.values().cloned());
    let labels = options::labels(&options, contexts, &pair(&used, random)?)?;
    for label in [&labels.process, &labels.mount] {
        if !label.is_empty() {
            known(label)?;
        }
    }
    let level = labels.mount.parse::<Context>().ok().and_then(|context| context.level);
    book.insert(container.id.clone(), level.unwrap_or_default());
    drop(book);
    (container.process_label, container.mount_label) = (labels.process, labels.mount);
    Ok(Some(selinux.book.taken(&container.id)))
}

/// A level with two categories that nobody has.
fn pair(used: &HashSet<String>, mut random: impl FnMut(u16) -> Result<u16>) -> Result<String> {
    let level = |low: u16, high: u16| format!("s0:c{low},c{high}");
    let free = |level: &String| level != UNSEPARATED && !used.contains(level);
    for _ in 0..TRIES {
        let (one, other) = (random(CATEGORIES)?, random(CATEGORIES)?);
        let level = level(one.min(other), one.max(other));
        if one != other && free(&level) {
            return Ok(level);
        }
    }
    let all = (0..CATEGORIES).flat_map(|low| (low + 1..CATEGORIES).map(move |high| (low, high)));
    all.map(|(low, high)| level(low, high)).find(free).ok_or_else(|| {
        Error::conflict(
            "no pair of SELinux categories is left: there are more than half a million containers",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_sorted_and_nobody_elses() {
        let numbers = |list: &'static [u16]| {
            let mut list = list.iter().copied().cycle();
            move |_| Ok(list.next().unwrap_or_default())
        };
        let used = |list: &[&str]| list.iter().map(|level| (*level).to_owned()).collect();
        assert_eq!(pair(&used(&[]), numbers(&[900, 7])).unwrap(), "s0:c7,c900");
        assert_eq!(pair(&used(&["s0:c7,c900"]), numbers(&[900, 7, 5, 6])).unwrap(), "s0:c5,c6");
        // neither the same category twice nor that of containers without separation
        assert_eq!(pair(&used(&[]), numbers(&[4, 4, 1023, 1022, 1, 2])).unwrap(), "s0:c1,c2");
        assert_eq!(pair(&used(&["s0:c0,c1"]), numbers(&[0, 1])).unwrap(), "s0:c0,c2");
    }

    #[test]
    fn all_may_be_taken() {
        let all = (0..CATEGORIES).flat_map(|low| (low + 1..CATEGORIES).map(move |high| (low, high)));
        let used: HashSet<String> = all.map(|(low, high)| format!("s0:c{low},c{high}")).collect();
        assert!(pair(&used, random).unwrap_err().to_string().contains("no pair"));
    }

    #[test]
    fn numbers_stay_below_their_end() {
        assert!((0..1000).all(|_| random(3).unwrap() < 3));
    }
}
