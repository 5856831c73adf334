//! Values as Go's `strconv` and Docker's `units` read them, and their complaints.

use std::time::Duration;

pub(super) type Parsed<T> = Result<T, String>;

pub(super) fn boolean(text: &str) -> Parsed<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!("strconv.ParseBool: parsing {text:?}: invalid syntax")),
    }
}

/// `strconv.Atoi`.
pub(super) fn integer(text: &str) -> Parsed<i64> {
    text.parse().map_err(|_not_a_number| format!("strconv.Atoi: parsing {text:?}: invalid syntax"))
}

/// `strconv.ParseUint`.
pub(super) fn unsigned(text: &str) -> Parsed<u64> {
    text.parse().map_err(|_not_a_number| format!("strconv.ParseUint: parsing {text:?}: invalid syntax"))
}

/// A size whose units are powers of 1000: `10m` is ten million bytes.
pub(super) fn decimal_size(text: &str) -> Parsed<u64> {
    size(text, 1000)
}

/// A size whose units are powers of 1024.
pub(super) fn binary_size(text: &str) -> Parsed<u64> {
    size(text, 1024)
}

fn size(text: &str, base: u64) -> Parsed<u64> {
    let wrong = || format!("invalid size: '{text}'");
    let end = text.rfind(|c: char| c.is_ascii_digit() || matches!(c, '.' | ' ')).ok_or_else(wrong)?;
    let (number, suffix) = text.split_at(end + 1);
    let number: f64 = number.trim_end().parse().map_err(|_not_a_number| wrong())?;
    let lower = suffix.to_ascii_lowercase();
    let mut unit = lower.chars();
    let power = match unit.next() {
        None => 0,
        Some(first) => {
            let power = ['b', 'k', 'm', 'g', 't', 'p'].iter().position(|&letter| letter == first);
            let whole = matches!((first, unit.as_str()), (_, "") | ('k'..='t', "b" | "ib"));
            power.filter(|_| whole).ok_or_else(|| format!("invalid suffix: '{suffix}'"))?
        }
    };
    let size = number * base.pow(u32::try_from(power).unwrap_or_default()) as f64;
    if !(0.0..9e18).contains(&size) {
        return Err(wrong());
    }
    Ok(size as u64)
}

/// Go's durations, without a sign: `1.5s`, `1m30s`, `100ms`.
pub(super) fn duration(text: &str) -> Parsed<Duration> {
    let wrong = || format!("time: invalid duration {text:?}");
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let (mut rest, mut total) = (text, 0.0);
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let number: f64 = number.parse().map_err(|_not_a_number| wrong())?;
        let letters = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        total += number
            * match unit {
                "ns" => 1e-9,
                "us" | "µs" | "μs" => 1e-6,
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                "" => return Err(format!("time: missing unit in duration {text:?}")),
                _ => return Err(format!("time: unknown unit {unit:?} in duration {text:?}")),
            };
        rest = after;
    }
    Duration::try_from_secs_f64(total).map_err(|_too_long| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(decimal_size("10m"), Ok(10_000_000));
        assert_eq!(decimal_size("1.5 kB"), Ok(1500));
        assert_eq!(binary_size("2KiB"), Ok(2048));
        assert_eq!(binary_size("7b"), Ok(7));
        for text in ["", "x", "-1", "1.2.3k"] {
            assert_eq!(decimal_size(text), Err(format!("invalid size: '{text}'")));
        }
        assert_eq!(decimal_size("1kx"), Err("invalid suffix: 'kx'".to_owned()));
        assert_eq!(decimal_size("1bb"), Err("invalid suffix: 'bb'".to_owned()));
    }

    #[test]
    fn durations() {
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("100ms"), Ok(Duration::from_millis(100)));
        assert_eq!(duration("10"), Err("time: missing unit in duration \"10\"".to_owned()));
        assert_eq!(duration("x"), Err("time: invalid duration \"x\"".to_owned()));
        assert_eq!(duration("1x"), Err("time: unknown unit \"x\" in duration \"1x\"".to_owned()));
    }
}
