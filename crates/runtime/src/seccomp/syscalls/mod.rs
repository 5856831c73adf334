//! The numbers of system calls by name, as data.

mod a_to_l;
mod m_to_z;

use super::abi::Abi;

/// One system call: its name, and its number in each ABI in the order of [`Abi`]; x32's without the bit.
#[derive(Debug)]
pub(super) struct Row {
    name: &'static str,
    numbers: [u32; 5],
}

/// The ABI doesn't have the call.
const NO: u32 = u32::MAX;

const fn row(name: &'static str, numbers: [u32; 5]) -> Row {
    Row { name, numbers }
}

impl Row {
    /// The number that the kernel sees in `abi`.
    pub(super) fn number(&self, abi: Abi) -> Option<u32> {
        match self.numbers[abi as usize] {
            NO => None,
            number if abi == Abi::X32 => Some(number | Abi::X32_BIT),
            number => Some(number),
        }
    }
}

/// The call of this name, when any ABI has it.
pub(super) fn find(name: &str) -> Option<&'static Row> {
    static HALVES: [&[Row]; 2] = [&a_to_l::A_TO_L, &m_to_z::M_TO_Z];
    let half = HALVES[usize::from(name >= "m")];
    half.binary_search_by_key(&name, |row| row.name).ok().map(|at| &half[at])
}

#[cfg(test)]
pub(super) fn all() -> impl Iterator<Item = (&'static str, &'static Row)> {
    a_to_l::A_TO_L.iter().chain(&m_to_z::M_TO_Z).map(|row| (row.name, row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorted_and_without_repetition() {
        let names: Vec<_> = all().map(|(name, _)| name).collect();
        assert!(names.is_sorted_by(|a, b| a < b));
        assert!(all().all(|(name, row)| find(name).is_some_and(|found| found.numbers == row.numbers)));
        assert!(find("nonsense").is_none() && find("zzz").is_none() && find("").is_none());
    }

    #[test]
    fn well_known_numbers() {
        let number = |name, abi| find(name).unwrap().number(abi);
        assert_eq!(number("read", Abi::X86_64), Some(0));
        assert_eq!(number("read", Abi::X86), Some(3));
        assert_eq!(number("read", Abi::Aarch64), Some(63));
        assert_eq!(number("execve", Abi::X32), Some(520 | 0x4000_0000));
        assert_eq!(number("socketcall", Abi::X86_64), None);
        assert_eq!(number("set_tls", Abi::Arm), Some(0xf_0005));
    }
}
