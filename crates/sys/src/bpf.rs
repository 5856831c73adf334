//! Programs for the kernel's eBPF machine, as far as device filters of cgroups need them: an assembler
//! of a few instructions, and loading and attaching (`bpf(2)`, kernel `bpf/standardization`).

use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;

use crate::raw::bpf as raw;

/// Most programs that one cgroup can have attached (`BPF_CGROUP_MAX_PROGS`).
const PROGRAMS_MAX: usize = 64;
/// Longest program that an unprivileged user may load; ours are far below.
const INSTRUCTIONS_MAX: usize = 4096;
/// Room for the verifier's words.
const LOG_SIZE: usize = 16 << 10;

/// A failed operation on an eBPF program.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `bpf(2)` refused.
    #[error("cannot {action} the eBPF program: {errno}")]
    Call {
        /// What was attempted.
        action: &'static str,
        /// The kernel's answer.
        errno: Errno,
    },
    /// The verifier refused the program.
    #[error("the kernel refused the eBPF program: {errno}: {log}")]
    Refused {
        /// The kernel's answer.
        errno: Errno,
        /// The last line of the verifier's log.
        log: String,
    },
    /// The program is too long to be loaded.
    #[error(
        "the eBPF program would have {0} instructions, more than {INSTRUCTIONS_MAX}: too many device rules"
    )]
    TooLong(usize),
}

/// A register of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the machine's names; R0 is the answer, R1 the context, R10 the stack")]
pub enum Reg {
    R0,
    R1,
    R2,
    R3,
    R4,
    R5,
    R6,
}

/// Width of a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// 32 bits.
    Word,
}

/// One instruction (`struct bpf_insn`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Insn {
    code: u8,
    dst: u8,
    src: u8,
    off: i16,
    imm: i32,
}

impl Insn {
    const LOAD_WORD: u8 = 0x61;
    const AND_IMM: u8 = 0x54;
    const SHR_IMM: u8 = 0x74;
    const MOV: u8 = 0xbc;
    const MOV_IMM: u8 = 0xb4;
    const JUMP_EQ: u8 = 0x16;
    const JUMP_NE: u8 = 0x56;
    const EXIT: u8 = 0x95;

    const fn new(code: u8, dst: Reg, src: Reg, off: i16, imm: i32) -> Self {
        Self { code, dst: dst as u8, src: src as u8, off, imm }
    }

    /// `dst = *(size *)(src + offset)`
    #[must_use]
    pub const fn load(size: Size, dst: Reg, src: Reg, offset: i16) -> Self {
        match size {
            Size::Word => Self::new(Self::LOAD_WORD, dst, src, offset, 0),
        }
    }

    /// `dst = src`, 32 bits.
    #[must_use]
    pub const fn mov(dst: Reg, src: Reg) -> Self {
        Self::new(Self::MOV, dst, src, 0, 0)
    }

    /// `dst = value`, 32 bits.
    #[must_use]
    pub const fn mov_imm(dst: Reg, value: i32) -> Self {
        Self::new(Self::MOV_IMM, dst, Reg::R0, 0, value)
    }

    /// `dst &= value`, 32 bits.
    #[must_use]
    pub const fn and_imm(dst: Reg, value: i32) -> Self {
        Self::new(Self::AND_IMM, dst, Reg::R0, 0, value)
    }

    /// `dst >>= bits`, 32 bits, unsigned.
    #[must_use]
    pub const fn shr_imm(dst: Reg, bits: i32) -> Self {
        Self::new(Self::SHR_IMM, dst, Reg::R0, 0, bits)
    }

    /// Jumps over `skip` instructions when the 32 bits of `dst` equal `value`.
    #[must_use]
    pub const fn jump_eq(dst: Reg, value: i32, skip: i16) -> Self {
        Self::new(Self::JUMP_EQ, dst, Reg::R0, skip, value)
    }

    /// Jumps over `skip` instructions when the 32 bits of `dst` differ from `value`.
    #[must_use]
    pub const fn jump_ne(dst: Reg, value: i32, skip: i16) -> Self {
        Self::new(Self::JUMP_NE, dst, Reg::R0, skip, value)
    }

    /// Ends the program with the answer in `R0`.
    #[must_use]
    pub const fn exit() -> Self {
        Self::new(Self::EXIT, Reg::R0, Reg::R0, 0, 0)
    }

    /// The instruction as the kernel reads it from memory.
    fn encode(self) -> u64 {
        let registers =
            if cfg!(target_endian = "little") { self.src << 4 | self.dst } else { self.dst << 4 | self.src };
        let [off0, off1] = self.off.to_ne_bytes();
        let [imm0, imm1, imm2, imm3] = self.imm.to_ne_bytes();
        u64::from_ne_bytes([self.code, registers, off0, off1, imm0, imm1, imm2, imm3])
    }
}

/// Gives a cgroup exactly this device filter, in the place of those it had. At no moment is there none.
///
/// # Errors
/// [`Error`]; the former filter stays then.
pub fn replace_device_filter(cgroup: impl AsFd, program: &[Insn]) -> Result<(), Error> {
    let cgroup = cgroup.as_fd();
    let program = load(program)?;
    let fail = |action| move |errno| Error::Call { action, errno };
    let old = attached(cgroup)?;
    if let [one] = old.as_slice() {
        match raw::attach(cgroup, program.as_fd(), Some(one.as_fd())) {
            // A kernel before 5.6, or one attached without "several": added first, then taken off.
            Err(Errno::INVAL) => {}
            other => return other.map_err(fail("replace")),
        }
    }
    raw::attach(cgroup, program.as_fd(), None).map_err(fail("attach"))?;
    old.iter().try_for_each(|old| raw::detach(cgroup, old.as_fd())).map_err(fail("detach"))
}

/// Takes all device filters off a cgroup (not those of the cgroups above).
///
/// # Errors
/// [`Error::Call`].
pub fn detach_device_filters(cgroup: impl AsFd) -> Result<(), Error> {
    let cgroup = cgroup.as_fd();
    let fail = |errno| Error::Call { action: "detach", errno };
    attached(cgroup)?.iter().try_for_each(|old| raw::detach(cgroup, old.as_fd())).map_err(fail)
}

/// How many device filters a cgroup has itself.
///
/// # Errors
/// [`Error::Call`].
pub fn count_device_filters(cgroup: impl AsFd) -> Result<usize, Error> {
    Ok(attached(cgroup.as_fd())?.len())
}

fn attached(cgroup: rustix::fd::BorrowedFd<'_>) -> Result<Vec<OwnedFd>, Error> {
    let fail = |errno| Error::Call { action: "query", errno };
    let mut ids = [0; PROGRAMS_MAX];
    let count = raw::query(cgroup, &mut ids).map_err(fail)?.min(PROGRAMS_MAX);
    ids[..count].iter().map(|&id| raw::by_id(id).map_err(fail)).collect()
}

fn load(program: &[Insn]) -> Result<OwnedFd, Error> {
    if program.len() > INSTRUCTIONS_MAX {
        return Err(Error::TooLong(program.len()));
    }
    let code: Vec<u64> = program.iter().map(|insn| insn.encode()).collect();
    match raw::load(&code, &mut []) {
        Ok(fd) => Ok(fd),
        Err(Errno::PERM) => Err(Error::Call { action: "load", errno: Errno::PERM }),
        // Once more, to learn why.
        Err(_) => explain(&code),
    }
}

fn explain(code: &[u64]) -> Result<OwnedFd, Error> {
    let mut log = vec![0; LOG_SIZE];
    raw::load(code, &mut log).map_err(|errno| {
        let text = String::from_utf8_lossy(&log);
        let text = text.trim_end_matches('\0').trim_end();
        let log = text
            .lines()
            .rev()
            .find(|line| !line.starts_with("processed"))
            .unwrap_or("no reason given")
            .to_owned();
        Error::Refused { errno, log }
    })
}

#[cfg(test)]
pub(crate) mod interpret;
