//! The ways in which programs call the kernel on one machine.

use oci_spec::runtime::Arch;

/// A set of system call numbers and its calling convention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Abi {
    /// 64-bit x86.
    X86_64,
    /// 32-bit x86.
    X86,
    /// 64-bit x86 with 32-bit pointers.
    X32,
    /// 64-bit ARM.
    Aarch64,
    /// 32-bit ARM (EABI).
    Arm,
}

/// A kind of processor: its ABIs share one kernel, and so one filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// x86-64 with the 32-bit ABIs x86 and x32.
    X86_64,
    /// arm64 with 32-bit ARM.
    Aarch64,
}

impl Machine {
    /// The machine that this program is built for; `None` where filters are not known.
    #[must_use]
    pub const fn native() -> Option<Self> {
        if cfg!(target_arch = "x86_64") {
            Some(Self::X86_64)
        } else if cfg!(target_arch = "aarch64") {
            Some(Self::Aarch64)
        } else {
            None
        }
    }

    /// The ABI of its own programs.
    pub(super) const fn own(self) -> Abi {
        match self {
            Self::X86_64 => Abi::X86_64,
            Self::Aarch64 => Abi::Aarch64,
        }
    }

    /// The ABIs that `archs` lets in, the machine's own always being one and the first. An architecture of
    /// another machine adds nothing: its calls can't be made here.
    pub(super) fn abis(self, archs: &[Arch]) -> Vec<Abi> {
        let others: &[(Arch, Abi)] = match self {
            Self::X86_64 => &[(Arch::ScmpArchX86, Abi::X86), (Arch::ScmpArchX32, Abi::X32)],
            Self::Aarch64 => &[(Arch::ScmpArchArm, Abi::Arm)],
        };
        let let_in = others.iter().filter(|(arch, _)| archs.contains(arch)).map(|&(_, abi)| abi);
        [self.own()].into_iter().chain(let_in).collect()
    }
}

impl Abi {
    /// Marks x32's numbers among those of x86-64 (`__X32_SYSCALL_BIT`).
    pub(super) const X32_BIT: u32 = 0x4000_0000;

    /// `AUDIT_ARCH_*`, as `seccomp_data.arch` has it.
    pub(super) const fn audit(self) -> u32 {
        match self {
            Self::X86_64 | Self::X32 => 0xc000_003e,
            Self::X86 => 0x4000_0003,
            Self::Aarch64 => 0xc000_00b7,
            Self::Arm => 0x4000_0028,
        }
    }

    /// Are arguments compared in all their 64 bits? A 32-bit program's are not: what its registers
    /// have above is no part of them.
    pub(super) const fn has_wide_arguments(self) -> bool {
        matches!(self, Self::X86_64 | Self::Aarch64)
    }
}
