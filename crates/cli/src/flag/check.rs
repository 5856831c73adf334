//! Judges for flag values. Each returns the reason alone, in the words that scripts know from Docker.

type Judged = Result<(), String>;

/// Everything is fine.
pub(crate) fn any(_: &str) -> Judged {
    Ok(())
}

/// Go's `strconv.ParseBool`.
pub(crate) fn parse_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        _ => Err(format!("strconv.ParseBool: parsing \"{text}\": invalid syntax")),
    }
}

pub(crate) fn boolean(text: &str) -> Judged {
    parse_bool(text).map(drop)
}

/// Go's `strconv.ParseInt` with base 0: decimal, `0x`, `0o`, `0b`, leading zero for octal.
pub(crate) fn parse_int(text: &str) -> Result<i64, String> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (digits, radix) = radix_of(digits);
    i64::from_str_radix(&format!("{sign}{digits}"), radix)
        .map_err(|error| number_error("ParseInt", text, &error))
}

/// Go's `strconv.ParseUint` with base 0, bounded by `max`.
pub(crate) fn parse_uint(text: &str, max: u64) -> Result<u64, String> {
    let (digits, radix) = radix_of(text);
    if digits.starts_with(['+', '-']) {
        return Err(format!("strconv.ParseUint: parsing \"{text}\": invalid syntax"));
    }
    let value =
        u64::from_str_radix(digits, radix).map_err(|error| number_error("ParseUint", text, &error))?;
    if value > max {
        return Err(format!("strconv.ParseUint: parsing \"{text}\": value out of range"));
    }
    Ok(value)
}

fn radix_of(digits: &str) -> (&str, u32) {
    let lower = digits.get(..2).map(str::to_ascii_lowercase);
    match lower.as_deref() {
        Some("0x") => (&digits[2..], 16),
        Some("0b") => (&digits[2..], 2),
        Some("0o") => (&digits[2..], 8),
        _ if digits.len() > 1 && digits.starts_with('0') => (&digits[1..], 8),
        _ => (digits, 10),
    }
}

fn number_error(function: &str, text: &str, error: &std::num::ParseIntError) -> String {
    use std::num::IntErrorKind::{NegOverflow, PosOverflow};
    let reason = match error.kind() {
        PosOverflow | NegOverflow => "value out of range",
        _ => "invalid syntax",
    };
    format!("strconv.{function}: parsing \"{text}\": {reason}")
}

pub(crate) fn int(text: &str) -> Judged {
    parse_int(text).map(drop)
}

pub(crate) fn uint16(text: &str) -> Judged {
    parse_uint(text, u64::from(u16::MAX)).map(drop)
}

pub(crate) fn uint64(text: &str) -> Judged {
    parse_uint(text, u64::MAX).map(drop)
}

/// An amount of memory: a decimal number and `b k m g t p` (powers of 1024, also `kb`, `KiB`); bytes.
pub(crate) fn parse_bytes(text: &str) -> Result<i64, String> {
    let invalid = || format!("invalid size: '{text}'");
    let end = text.rfind(|c: char| c.is_ascii_digit() || c == '.').ok_or_else(invalid)? + 1;
    let (number, suffix) = text.split_at(end);
    let value: f64 = number.trim_end().parse().map_err(|_error| invalid())?;
    if value < 0.0 || !value.is_finite() {
        return Err(invalid());
    }
    let suffix = suffix.trim_start().to_ascii_lowercase();
    let unit = suffix.strip_suffix("ib").or_else(|| suffix.strip_suffix('b')).unwrap_or(&suffix);
    let power = match unit {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return Err(format!("invalid suffix: '{suffix}'")),
    };
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a fraction of a byte is dropped, as Docker drops it"
    )]
    Ok((value * 1024f64.powi(power)) as i64)
}

pub(crate) fn bytes(text: &str) -> Judged {
    parse_bytes(text).map(drop)
}

/// As [`bytes`], and `-1` for "no limit" (`--memory-swap`).
pub(crate) fn swap(text: &str) -> Judged {
    parse_swap(text).map(drop)
}

/// The amount, or -1.
pub(crate) fn parse_swap(text: &str) -> Result<i64, String> {
    if text == "-1" { Ok(-1) } else { parse_bytes(text) }
}

/// A number of CPUs, in billionths.
pub(crate) fn parse_cpus(text: &str) -> Result<i64, String> {
    let refused = || format!("failed to parse {text} as a rational number");
    let (number, divisor) = match text.split_once('/') {
        Some((number, divisor)) => (number, divisor.parse::<f64>().map_err(|_error| refused())?),
        None => (text, 1.0),
    };
    let well_formed = number.chars().all(|c| c.is_ascii_digit() || ".-+eE".contains(c));
    let value: f64 = number.parse().map_err(|_error| refused())?;
    if !well_formed || divisor == 0.0 {
        return Err(refused());
    }
    let nanos = value / divisor * 1e9;
    if (nanos - nanos.round()).abs() > 1e-3 {
        return Err("value is too precise".to_owned());
    }
    #[expect(clippy::cast_possible_truncation, reason = "rounded; as casts saturate")]
    Ok(nanos.round() as i64)
}

pub(crate) fn cpus(text: &str) -> Judged {
    parse_cpus(text).map(drop)
}

/// Go's `time.ParseDuration`; nanoseconds.
pub(crate) fn parse_duration(text: &str) -> Result<i64, String> {
    let invalid = || format!("time: invalid duration \"{text}\"");
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
    let mut total = 0f64;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: f64 = rest[..end].parse().map_err(|_error| invalid())?;
        rest = &rest[end..];
        let end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let unit = match &rest[..end] {
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            "" => return Err(format!("time: missing unit in duration \"{text}\"")),
            unit => return Err(format!("time: unknown unit \"{unit}\" in duration \"{text}\"")),
        };
        total += number * unit;
        rest = &rest[end..];
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "fractions of a nanosecond are dropped; as casts saturate"
    )]
    Ok(if negative { -total } else { total } as i64)
}

pub(crate) fn duration(text: &str) -> Judged {
    parse_duration(text).map(drop)
}

pub(crate) fn filter(text: &str) -> Judged {
    if text.is_empty() || text.contains('=') {
        return Ok(());
    }
    Err("bad format of filter (expected name=value)".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(parse_bytes("64m"), Ok(64 << 20));
        assert_eq!(parse_bytes("1.5GiB"), Ok(3 << 29));
        assert_eq!(parse_bytes("10 kB"), Ok(10240));
        assert_eq!(parse_bytes("x"), Err("invalid size: 'x'".into()));
        assert_eq!(parse_bytes("-5m"), Err("invalid size: '-5m'".into()));
        assert_eq!(parse_bytes("12q"), Err("invalid suffix: 'q'".into()));
        assert_eq!(parse_swap("-1"), Ok(-1));
    }

    #[test]
    fn durations() {
        assert_eq!(parse_duration("1m30s"), Ok(90_000_000_000));
        assert_eq!(parse_duration("1.5h"), Ok(5_400_000_000_000));
        assert_eq!(parse_duration("5"), Err("time: missing unit in duration \"5\"".into()));
        assert_eq!(parse_duration(""), Err("time: invalid duration \"\"".into()));
    }

    #[test]
    fn numbers() {
        assert_eq!(parse_int("-0x10"), Ok(-16));
        assert_eq!(parse_cpus("1.5"), Ok(1_500_000_000));
        assert_eq!(parse_cpus("x"), Err("failed to parse x as a rational number".into()));
        assert_eq!(uint16("100000"), Err("strconv.ParseUint: parsing \"100000\": value out of range".into()));
        assert_eq!(int("x"), Err("strconv.ParseInt: parsing \"x\": invalid syntax".into()));
    }
}
