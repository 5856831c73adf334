//! Ids and names.

use crate::error::{Error, Result};

/// Fills bytes with randomness.
///
/// # Errors
/// The kernel has none.
pub(crate) fn fill(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes).map_err(|error| Error::system(format!("read randomness: {error}")))
}

/// A new id: 64 hex digits, of which the first 12 are not all decimal (they'd make a bad host name).
///
/// # Errors
/// The kernel has no randomness.
pub(crate) fn random() -> Result<String> {
    let mut bytes = [0_u8; 32];
    loop {
        fill(&mut bytes)?;
        let id = hex::encode(bytes);
        if id[..12].bytes().any(|digit| digit.is_ascii_alphabetic()) {
            return Ok(id);
        }
    }
}

/// Names are `[a-zA-Z0-9][a-zA-Z0-9_.-]+`.
pub(crate) fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphanumeric())
        && name.len() > 1
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

/// A container's name as it was asked for, without the slash.
///
/// # Errors
/// It is not a name.
pub(crate) fn container_name(asked: &str) -> Result<&str> {
    let name = asked.strip_prefix('/').unwrap_or(asked);
    if is_name(name) {
        return Ok(name);
    }
    Err(Error::bad_parameter(format!(
        "Invalid container name ({asked}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
    )))
}

/// Moods and makers of made-up names.
const LEFT: [&str; 40] = [
    "amber", "ample", "apt", "blithe", "bold", "brisk", "calm", "cheery", "civil", "clever", "crisp", "deft",
    "eager", "fair", "fleet", "fond", "frank", "gentle", "glad", "hardy", "keen", "kind", "light", "lively",
    "lucid", "mellow", "merry", "neat", "nimble", "plucky", "proud", "quick", "quiet", "ready", "spry",
    "steady", "sunny", "tidy", "warm", "witty",
];
const RIGHT: [&str; 40] = [
    "abel",
    "agnesi",
    "babbage",
    "bassi",
    "bernoulli",
    "boole",
    "cantor",
    "cauchy",
    "cori",
    "diophantus",
    "dirac",
    "easley",
    "erdos",
    "euler",
    "faraday",
    "fermat",
    "franklin",
    "galois",
    "gauss",
    "germain",
    "hamming",
    "hopper",
    "hypatia",
    "kepler",
    "knuth",
    "lagrange",
    "leavitt",
    "liskov",
    "lovelace",
    "meitner",
    "mirzakhani",
    "noether",
    "pascal",
    "ramanujan",
    "ride",
    "shannon",
    "somerville",
    "turing",
    "wiles",
    "yalow",
];

/// A made-up name; from the second try on with a number behind.
///
/// # Errors
/// The kernel has no randomness.
pub(crate) fn made_up(attempt: u32) -> Result<String> {
    let mut bytes = [0_u8; 4];
    fill(&mut bytes)?;
    let pick = |list: &[&'static str; 40], byte: u8| list[usize::from(byte) % list.len()];
    let (left, right) = (pick(&LEFT, bytes[0]), pick(&RIGHT, bytes[1]));
    Ok(match attempt {
        0 => format!("{left}_{right}"),
        _ => format!("{left}_{right}{}", u16::from_le_bytes([bytes[2], bytes[3]])),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        assert_eq!(container_name("/web-1").unwrap(), "web-1");
        for wrong in ["", "a", "-a", "a b", "a/b", "ä1", ".x"] {
            assert!(container_name(wrong).is_err(), "{wrong}");
        }
        assert!(is_name(&made_up(1).unwrap()));
        assert_eq!(random().unwrap().len(), 64);
    }
}
