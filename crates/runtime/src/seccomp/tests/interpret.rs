//! Runs a filter as the kernel would.

use sys::seccomp::SockFilter;

/// `struct seccomp_data`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    words: [u32; 16],
}

impl Call {
    pub(super) fn new(arch: u32, number: u32, args: &[u64]) -> Self {
        let mut words = [0; 16];
        words[0] = number;
        words[1] = arch;
        for (at, arg) in args.iter().enumerate() {
            words[4 + 2 * at] = *arg as u32;
            words[5 + 2 * at] = (arg >> 32) as u32;
        }
        Self { words }
    }
}

/// The value that `program` returns for `call`.
pub(super) fn run(program: &[SockFilter], call: &Call) -> u32 {
    walk(program, call).0
}

/// The value, and how many instructions it took.
pub(super) fn walk(program: &[SockFilter], call: &Call) -> (u32, usize) {
    let (mut accumulator, mut at) = (0_u32, 0);
    for steps in 1..=program.len() {
        let SockFilter { code, jt, jf, k } = program[at];
        at += 1;
        let jump = |holds: bool| usize::from(if holds { jt } else { jf });
        match code {
            0x20 => {
                assert!(k % 4 == 0 && k < 64, "load outside of the data");
                accumulator = call.words[k as usize / 4];
            }
            0x54 => accumulator &= k,
            0x05 => at += k as usize,
            0x15 => at += jump(accumulator == k),
            0x25 => at += jump(accumulator > k),
            0x35 => at += jump(accumulator >= k),
            0x45 => at += jump(accumulator & k != 0),
            0x06 => return (k, steps),
            other => panic!("unknown instruction {other:#x}"),
        }
    }
    panic!("the program doesn't end");
}
