//! Thresholds that an image must keep, from flags or from a file such as `.dive-ci`.

use crate::{Error, Image, Result};

/// The most bytes that a file of rules may have.
pub const MAX_FILE: u64 = 64 << 10;

/// The thresholds; `None`: not asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// The least efficiency, from 0 to 1.
    pub lowest_efficiency: Option<f64>,
    /// Bytes from which waste is too much.
    pub highest_wasted_bytes: Option<u64>,
    /// The share of the upper layers from which waste is too much, from 0 to 1.
    pub highest_user_wasted: Option<f64>,
}

impl Default for Rules {
    /// dive's.
    fn default() -> Self {
        Self { lowest_efficiency: Some(0.9), highest_wasted_bytes: None, highest_user_wasted: Some(0.1) }
    }
}

/// How one rule ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The rule's name, as it stands in the file.
    pub rule: &'static str,
    /// `None`: not asked for.
    pub passed: Option<bool>,
    /// What was measured.
    pub measured: String,
    /// What was asked for.
    pub wanted: String,
}

const EFFICIENCY: &str = "lowestEfficiency";
const WASTED: &str = "highestWastedBytes";
const USER_WASTED: &str = "highestUserWastedPercent";
const DISABLED: &str = "disabled";

impl Rules {
    /// Reads the rules of a file over these: `rules:` and below it `name: value` lines, as in `.dive-ci`.
    ///
    /// # Errors
    /// The line that can't be understood.
    pub fn read(mut self, text: &str) -> Result<Self> {
        for (index, whole) in text.lines().enumerate() {
            let at = |reason: String| Error::Rules(format!("line {}: {reason}", index + 1));
            let line = whole.split_once('#').map_or(whole, |(before, _)| before).trim();
            if line.is_empty() || line == "rules:" || line == "---" {
                continue;
            }
            let (key, value) = line
                .split_once(':')
                .ok_or_else(|| at(format!("{line:?} is not of the form \"rule: value\"")))?;
            let value = value.trim().trim_matches(['"', '\'']);
            self.set(key.trim(), value).map_err(at)?;
        }
        Ok(self)
    }

    /// Sets one rule by its name, in the form of the file or of a flag.
    ///
    /// # Errors
    /// No rule has that name; the value does not fit.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            EFFICIENCY | "lowest-efficiency" => self.lowest_efficiency = share(key, value)?,
            WASTED | "highest-wasted-bytes" => self.highest_wasted_bytes = bytes(key, value)?,
            USER_WASTED | "highest-user-wasted-percent" => self.highest_user_wasted = share(key, value)?,
            _ => {
                return Err(format!(
                    "unknown rule {key:?}: there are {EFFICIENCY}, {WASTED} and {USER_WASTED}"
                ));
            }
        }
        Ok(())
    }

    /// Judges an image, rule by rule.
    #[must_use]
    pub fn judge(&self, image: &Image) -> Vec<Verdict> {
        let verdict = |rule, passed: Option<bool>, measured: String, wanted: Option<String>| Verdict {
            rule,
            passed,
            measured,
            wanted: wanted.unwrap_or_else(|| DISABLED.to_owned()),
        };
        let (efficiency, wasted, user) = (image.efficiency(), image.wasted_bytes(), image.user_wasted());
        vec![
            verdict(
                EFFICIENCY,
                self.lowest_efficiency.map(|least| efficiency >= least),
                format!("{efficiency:.4}"),
                self.lowest_efficiency.map(|least| format!("at least {least}")),
            ),
            verdict(
                WASTED,
                self.highest_wasted_bytes.map(|most| wasted < most),
                wasted.to_string(),
                self.highest_wasted_bytes.map(|most| format!("below {most}")),
            ),
            verdict(
                USER_WASTED,
                self.highest_user_wasted.map(|most| user < most),
                format!("{user:.4}"),
                self.highest_user_wasted.map(|most| format!("below {most}")),
            ),
        ]
    }
}

/// A number from 0 to 1.
fn share(key: &str, value: &str) -> Result<Option<f64>, String> {
    if value == DISABLED {
        return Ok(None);
    }
    match value.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(Some(share)),
        _ => Err(format!("{key}: {value:?} is neither a number from 0 to 1 nor \"{DISABLED}\"")),
    }
}

/// `20MB`, `1.5GiB`, `4096`: decimal units, as dive takes them, or binary ones by their names.
fn bytes(key: &str, value: &str) -> Result<Option<u64>, String> {
    const UNITS: [(&str, f64); 12] = [
        ("", 1.0),
        ("b", 1.0),
        ("k", 1e3),
        ("kb", 1e3),
        ("kib", 1024.0),
        ("m", 1e6),
        ("mb", 1e6),
        ("mib", 1_048_576.0),
        ("g", 1e9),
        ("gb", 1e9),
        ("gib", 1_073_741_824.0),
        ("tb", 1e12),
    ];
    if value == DISABLED {
        return Ok(None);
    }
    let digits = value.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(value.len());
    let (number, unit) = value.split_at(digits);
    let unit = unit.trim().to_ascii_lowercase();
    let factor = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
    match (number.parse::<f64>(), factor) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "no sign was parsed")]
        (Ok(number), Some(factor)) => Ok(Some((number * factor) as u64)),
        _ => Err(format!("{key}: {value:?} is neither a size such as 20MB nor \"{DISABLED}\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_dive_is_read() {
        let text = "rules:\n  # a remark\n  lowestEfficiency: 0.95\n  highestWastedBytes: 20MB # why\n\n  highestUserWastedPercent: 'disabled'\n";
        let rules = Rules::default().read(text).unwrap();
        assert_eq!(
            rules,
            Rules {
                lowest_efficiency: Some(0.95),
                highest_wasted_bytes: Some(20_000_000),
                highest_user_wasted: None
            }
        );
        assert_eq!(Rules::default().read("").unwrap(), Rules::default());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, said) in [
            ("rules:\n  lowest: 1", "line 2: unknown rule \"lowest\""),
            ("lowestEfficiency: 95", "line 1: lowestEfficiency: \"95\" is neither a number"),
            ("highestWastedBytes: lots", "\"lots\" is neither a size"),
            ("nonsense", "not of the form"),
        ] {
            let error = Rules::default().read(text).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
        assert_eq!(bytes("x", "1.5 GiB").unwrap(), Some(1_610_612_736));
    }
}
