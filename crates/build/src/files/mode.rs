//! `--chmod`: octal digits, or chmod(1)'s symbols.

use crate::{Error, Result};

const ALL: u32 = 0o7777;

/// The mode that something of mode `old` gets.
///
/// # Errors
/// The text is neither octal digits nor symbols.
pub(super) fn apply(text: &str, old: u32, is_dir: bool) -> Result<u32> {
    let wrong = || {
        Error::Invalid(format!(
            "invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777"
        ))
    };
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= ALL);
        return mode.ok_or_else(wrong);
    }
    let mut mode = old & ALL;
    for clause in text.split(',') {
        mode = symbols(clause, mode, is_dir).ok_or_else(wrong)?;
    }
    Ok(mode)
}

/// One clause, `u+rwx=…`.
fn symbols(clause: &str, mut mode: u32, is_dir: bool) -> Option<u32> {
    let at = clause.find(['+', '-', '='])?;
    let (who, mut rest) = clause.split_at(at);
    let mut mask = 0;
    for letter in who.chars() {
        mask |= match letter {
            'u' => 0o4700,
            'g' => 0o2070,
            'o' => 0o1007,
            'a' => ALL,
            _ => return None,
        };
    }
    if who.is_empty() {
        mask = ALL;
    }
    while !rest.is_empty() {
        let (operator, after) = rest.split_at(1);
        let end = after.find(['+', '-', '=']).unwrap_or(after.len());
        let bits = bits(&after[..end], mode, is_dir)? & mask;
        mode = match operator {
            "+" => mode | bits,
            "-" => mode & !bits,
            "=" => mode & !(mask & 0o777) & !(mask & if is_dir { 0o1000 } else { 0o7000 }) | bits,
            _ => return None,
        };
        rest = &after[end..];
    }
    Some(mode)
}

fn bits(letters: &str, mode: u32, is_dir: bool) -> Option<u32> {
    let spread = |three: u32| three << 6 | three << 3 | three;
    letters.chars().try_fold(0, |bits, letter| {
        Some(
            bits | match letter {
                'r' => 0o444,
                'w' => 0o222,
                'x' => 0o111,
                'X' if is_dir || mode & 0o111 != 0 => 0o111,
                'X' => 0,
                's' => 0o6000,
                't' => 0o1000,
                'u' => spread(mode >> 6 & 7),
                'g' => spread(mode >> 3 & 7),
                'o' => spread(mode & 7),
                _ => return None,
            },
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_and_symbols() {
        for (text, old, is_dir, new) in [
            ("755", 0o600, false, 0o755),
            ("04755", 0, false, 0o4755),
            ("u+x", 0o644, false, 0o744),
            ("a-w,u+w", 0o666, false, 0o644),
            ("go=u", 0o700, false, 0o777),
            ("go-rwx", 0o777, true, 0o700),
            ("+X", 0o644, false, 0o644),
            ("+X", 0o644, true, 0o755),
            ("u=rwX,go=rX", 0o600, true, 0o755),
            ("g+s", 0o755, true, 0o2755),
            ("+t", 0o777, true, 0o1777),
        ] {
            assert_eq!(apply(text, old, is_dir).unwrap(), new, "{text}");
        }
        for text in ["", "8", "77777", "u", "u+q", "z+x", "u+x,"] {
            assert!(apply(text, 0o644, false).is_err(), "{text}");
        }
    }
}
