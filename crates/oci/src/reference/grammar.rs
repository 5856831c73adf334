//! The grammar of references (distribution's `reference` package documents it), as predicates over text.

/// The most characters of a repository path.
pub(crate) const MAX_PATH: usize = 255;
/// The most characters of a tag.
const MAX_TAG: usize = 128;
/// The fewest digits of a digest.
const MIN_DIGEST_HEX: usize = 32;

/// 64 hexadecimal digits: an image id.
pub(super) fn is_identifier(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Is this a tag: `[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}`?
pub fn is_tag(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    text.len() <= MAX_TAG
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|b| word(b) || matches!(b, b'.' | b'-'))
}

/// An algorithm name, a colon and at least 32 hexadecimal digits.
pub(super) fn is_digest(text: &str) -> bool {
    let Some((algorithm, hex)) = text.split_once(':') else { return false };
    let component = |part: &str| {
        part.bytes().next().is_some_and(|b| b.is_ascii_alphabetic())
            && part.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    algorithm.split(['-', '_', '+', '.']).all(component)
        && hex.len() >= MIN_DIGEST_HEX
        && hex.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Host name, IPv4 address or bracketed IPv6 address, and a port.
pub(super) fn is_domain(text: &str) -> bool {
    if let Some(rest) = text.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else { return false };
        let address_fits = !address.is_empty() && address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':');
        return address_fits && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    host.split('.').all(is_domain_component) && port.is_none_or(is_port)
}

fn is_port(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_domain_component(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// Is this the path of a repository: components with slashes between? It may be of any length.
pub fn is_path(text: &str) -> bool {
    text.split('/').all(is_path_component)
}

/// Lower-case words with one `.`, one or two `_`, or any number of `-` between.
fn is_path_component(text: &str) -> bool {
    let mut separator = String::new();
    let mut seen_word = false;
    for c in text.chars() {
        match c {
            'a'..='z' | '0'..='9' => {
                let fits = match separator.as_str() {
                    "" => true,
                    "." | "_" | "__" => seen_word,
                    dashes => seen_word && dashes.bytes().all(|b| b == b'-'),
                };
                if !fits {
                    return false;
                }
                separator.clear();
                seen_word = true;
            }
            '.' | '_' | '-' => separator.push(c),
            _ => return false,
        }
    }
    seen_word && separator.is_empty()
}
