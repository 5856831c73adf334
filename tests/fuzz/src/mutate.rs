//! Bytes made of others: the small mutator that the smoke test has, where no coverage leads it.

/// Numbers that follow from a seed (xorshift64*).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Those of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next number.
    #[expect(clippy::should_implement_trait, reason = "it has no end")]
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`; 0 when there is none.
    pub fn below(&mut self, end: usize) -> usize {
        let wide = u128::from(self.next()) * end as u128;
        usize::try_from(wide >> 64).unwrap_or(0)
    }
}

/// Bytes at which parsers turn.
const TURNS: &[u8] = b"\0\x01\x7f\x80\xff\n\r\t \"'\\/.:,=@$%&{}[]()<>*?!#-_~0915aAzZ";
/// Texts that mean something to one of them.
const WORDS: &[&str] = &[
    "../",
    "/tmp/berth-fuzz-outside",
    "-1",
    "0",
    "9223372036854775807",
    "18446744073709551616",
    "1e400",
    "null",
    "{}",
    "[]",
    "\"\"",
    "**/",
    "!",
    "${a:-",
    "}",
    "<<EOF\n",
    "\\\n",
    "\\u0000",
    "\u{fffd}",
    "\u{feff}",
    "0.0.0.0",
    "[::1]",
    "sha256:",
    "%00",
    "true",
    "\r\n\r\n",
    "--\n",
    "{{",
    "}}",
    "|",
];
/// Numbers in a row of bytes.
const NUMBERS: &[u64] =
    &[0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, u64::MAX, 1 << 63];

/// Another input, made of one or two of `seeds` by a few changes; at most `longest` bytes.
pub fn mutated(dice: &mut Dice, seeds: &[Vec<u8>], longest: usize) -> Vec<u8> {
    let any = |dice: &mut Dice| seeds.get(dice.below(seeds.len())).cloned().unwrap_or_default();
    let mut data = any(dice);
    for _ in 0..=dice.below(6) {
        let at = dice.below(data.len() + 1);
        let end = (at + 1 + dice.below(16)).min(data.len());
        match dice.below(11) {
            0 if at < data.len() => data[at] ^= 1 << dice.below(8),
            1 if at < data.len() => data[at] = TURNS[dice.below(TURNS.len())],
            2 if at < data.len() => data[at] = dice.next() as u8,
            3 => data.insert(at, TURNS[dice.below(TURNS.len())]),
            4 => drop(data.drain(at..end)),
            5 => insert(&mut data, at, WORDS[dice.below(WORDS.len())].as_bytes()),
            6 => {
                let number = NUMBERS[dice.below(NUMBERS.len())].to_le_bytes();
                let bytes = &number[..1 << dice.below(4)];
                for (slot, byte) in data.iter_mut().skip(at).zip(bytes) {
                    *slot = *byte;
                }
            }
            7 => {
                // A piece many times over: depth and length.
                let piece = data[at..end].repeat(1 << dice.below(9));
                insert(&mut data, at, &piece);
            }
            8 => {
                let other = any(dice);
                let from = dice.below(other.len() + 1);
                let to = (from + dice.below(256)).min(other.len());
                insert(&mut data, at, &other[from..to]);
            }
            9 => {
                let other = any(dice);
                data.truncate(at);
                data.extend_from_slice(&other[dice.below(other.len() + 1)..]);
            }
            _ => data.truncate(at),
        }
    }
    data.truncate(longest);
    data
}

fn insert(data: &mut Vec<u8>, at: usize, piece: &[u8]) {
    data.splice(at..at, piece.iter().copied());
}
