//! Values with units: `"30s"`, `"7d"`, `"512MiB"`.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

/// A length of time, written as `"30s"`, `"5m"`, `"12h"` or `"7d"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seconds(pub Duration);

/// A number of bytes, written as a number or as `"512KiB"`, `"4MiB"`, `"10GiB"`, `"2TiB"` (or `kB`, `MB`, `GB`, `TB`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

impl Seconds {
    pub(crate) const fn of(count: u64) -> Self {
        Self(Duration::from_secs(count))
    }

    pub(crate) const fn minutes(count: u64) -> Self {
        Self::of(count * 60)
    }

    pub(crate) const fn hours(count: u64) -> Self {
        Self::minutes(count * 60)
    }

    fn read(text: &str) -> Option<Self> {
        let (number, unit) = split(text)?;
        let factor = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 60 * 60,
            "d" => 24 * 60 * 60,
            _ => return None,
        };
        // beyond a century nothing is waited for
        number.checked_mul(factor).filter(|seconds| *seconds > 0 && *seconds < 1 << 32).map(Self::of)
    }
}

impl Bytes {
    fn read(text: &str) -> Option<Self> {
        let (number, unit) = split(text)?;
        let factor = match unit {
            "" | "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            "TiB" => 1 << 40,
            "kB" => 1000,
            "MB" => 1_000_000,
            "GB" => 1_000_000_000,
            "TB" => 1_000_000_000_000,
            _ => return None,
        };
        number.checked_mul(factor).map(Self)
    }
}

/// Digits, and what follows.
fn split(text: &str) -> Option<(u64, &str)> {
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    Some((number.parse().ok()?, unit.trim()))
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::read(&text).ok_or_else(|| {
            serde::de::Error::custom(format!(
                "{text:?} is no length of time: write '30s', '5m', '12h' or '7d'"
            ))
        })
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Number(u64),
            Text(String),
        }
        match Either::deserialize(deserializer)? {
            Either::Number(number) => Ok(Self(number)),
            Either::Text(text) => Self::read(&text).ok_or_else(|| {
                serde::de::Error::custom(format!(
                    "{text:?} is no number of bytes: write 1048576, '512KiB', '4MiB' or '10GiB'"
                ))
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units() {
        assert_eq!(Seconds::read("30s"), Some(Seconds::of(30)));
        assert_eq!(Seconds::read("2d"), Some(Seconds::hours(48)));
        for text in ["", "s", "30", "-1s", "0s", "99999999999999999999s", "18446744073709551615d", "1.5h"] {
            assert_eq!(Seconds::read(text), None, "{text}");
        }
        assert_eq!(Bytes::read("4MiB"), Some(Bytes(4 << 20)));
        assert_eq!(Bytes::read("10 GB"), Some(Bytes(10_000_000_000)));
        for text in ["", "MiB", "4 Mib", "99999999TiB"] {
            assert_eq!(Bytes::read(text), None, "{text}");
        }
    }
}
