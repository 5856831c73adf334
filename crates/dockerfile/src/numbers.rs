//! Durations and sizes as Go's libraries read them.

/// Nanoseconds of a duration (`time.ParseDuration`): `1m30s`, `1.5h`, `-2us`.
///
/// # Errors
/// Go's sentence.
pub(crate) fn duration(text: &str) -> Result<i64, String> {
    let invalid = || format!("time: invalid duration {text:?}");
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let whole = digits(rest);
        let fraction = rest[whole.len()..].strip_prefix('.').map(digits);
        if whole.is_empty() && fraction.is_none_or(str::is_empty) {
            return Err(invalid());
        }
        rest = &rest[whole.len() + fraction.map_or(0, |fraction| fraction.len() + 1)..];
        let unit = &rest[..rest.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len())];
        rest = &rest[unit.len()..];
        let scale: i128 = match unit {
            "ns" => 1,
            "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            "" => return Err(format!("time: missing unit in duration {text:?}")),
            other => return Err(format!("time: unknown unit {other:?} in duration {text:?}")),
        };
        let number: i128 =
            if whole.is_empty() { 0 } else { whole.parse::<i64>().map_err(|_error| invalid())?.into() };
        total += number * scale;
        // beyond eighteen digits nothing is left of a fraction
        let fraction = fraction.map(|fraction| &fraction[..fraction.len().min(18)]).unwrap_or_default();
        if let Ok(parts) = fraction.parse::<i128>() {
            total += parts * scale / 10_i128.pow(u32::try_from(fraction.len()).unwrap_or(0));
        }
        if total > i128::from(i64::MAX) {
            return Err(invalid());
        }
    }
    i64::try_from(if negative { -total } else { total }).map_err(|_error| invalid())
}

/// Bytes of a size (`units.RAMInBytes`): `64m`, `1.5GiB`, `100`; units are powers of 1024.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let split = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let unit = unit.strip_prefix(' ').unwrap_or(unit).to_ascii_lowercase();
    let exponent = match unit.strip_suffix("ib").or(unit.strip_suffix('b')).unwrap_or(&unit) {
        "" if unit == "ib" => return None,
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return None,
    };
    let value: f64 = number.parse().ok()?;
    let bytes =
        value * f64::from(1024_i32.pow(exponent.min(2))) * 1024_f64.powi(exponent.saturating_sub(2) as i32);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be in range")]
    (0.0..9.2e18).contains(&bytes).then_some(bytes as u64)
}

fn digits(text: &str) -> &str {
    &text[..text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(duration("1m30s"), Ok(90_000_000_000));
        assert_eq!(duration("1.5h"), Ok(5_400_000_000_000));
        assert_eq!(duration("-.5s"), Ok(-500_000_000));
        assert_eq!(duration("0"), Ok(0));
        assert_eq!(duration("5"), Err("time: missing unit in duration \"5\"".into()));
        assert_eq!(duration("5x"), Err("time: unknown unit \"x\" in duration \"5x\"".into()));
        for wrong in ["", "-", "s", ".s", "9999999999h", "99999999999999999999s"] {
            assert_eq!(duration(wrong), Err(format!("time: invalid duration {wrong:?}")));
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(bytes("64m"), Some(64 << 20));
        assert_eq!(bytes("1.5GiB"), Some(3 << 29));
        assert_eq!(bytes("100"), Some(100));
        assert_eq!(bytes("1 kb"), Some(1024));
        for wrong in ["", "x", "1x", "-1", "1e9", "ib", "1ib", "99999999p"] {
            assert_eq!(bytes(wrong), None, "{wrong}");
        }
    }
}
