//! Sizes for people, as Docker writes them.

const DECIMAL: [&str; 9] = ["B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"];
const BINARY: [&str; 9] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"];

fn scaled(size: f64, base: f64, units: &[&'static str; 9]) -> (f64, &'static str) {
    let mut size = size;
    let mut unit = 0;
    while size >= base && unit < units.len() - 1 {
        size /= base;
        unit += 1;
    }
    (size, units[unit])
}

/// `7.793MB`: decimal units, four significant digits.
#[expect(clippy::cast_precision_loss, reason = "four digits are shown")]
#[must_use]
pub fn human_size(bytes: i64) -> String {
    with_precision(bytes as f64, 4)
}

/// `7.79MB`: three significant digits, for columns.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
#[must_use]
pub fn short_size(bytes: i64) -> String {
    with_precision(bytes as f64, 3)
}

/// With any number of significant digits.
#[must_use]
pub fn with_precision(bytes: f64, digits: usize) -> String {
    let (size, unit) = scaled(bytes, 1000.0, &DECIMAL);
    format!("{}{unit}", general(size, digits))
}

/// `7.438MiB`: binary units, four significant digits.
#[must_use]
pub fn binary_size(bytes: f64) -> String {
    let (size, unit) = scaled(bytes, 1024.0, &BINARY);
    format!("{}{unit}", general(size, 4))
}

/// C's `%.*g` for the magnitudes that occur here.
fn general(value: f64, digits: usize) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    #[expect(clippy::cast_possible_truncation, reason = "the exponent of a double fits")]
    let mut exponent = value.abs().log10().floor() as i32;
    let digits_i = i32::try_from(digits).unwrap_or(3);
    // Rounding may carry into one more digit: 999.9 is 1e+03 with three digits.
    let rounded = (value.abs() / 10f64.powi(exponent - digits_i + 1)).round();
    if rounded >= 10f64.powi(digits_i) {
        exponent += 1;
    }
    if exponent >= digits_i {
        let mantissa = value / 10f64.powi(exponent);
        let text = trim(format!("{mantissa:.*}", digits - 1));
        return format!("{text}e+{exponent:02}");
    }
    let decimals = usize::try_from(digits_i - 1 - exponent).unwrap_or(0);
    trim(format!("{value:.decimals$}"))
}

fn trim(text: String) -> String {
    if !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(human_size(7_792_915), "7.793MB");
        assert_eq!(short_size(0), "0B");
        assert_eq!(short_size(7_800_000), "7.8MB");
        assert_eq!(short_size(1000), "1kB");
        assert_eq!(short_size(123_456_789), "123MB");
        assert_eq!(short_size(999_999), "1e+03kB");
        assert_eq!(short_size(-1), "-1B");
        assert_eq!(binary_size(7_800_000.0), "7.439MiB");
        assert_eq!(binary_size(512.0), "512B");
        assert_eq!(with_precision(1_234_567.0, 4), "1.235MB");
    }
}
