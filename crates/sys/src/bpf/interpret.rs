//! Runs the few instructions of [`Insn`], for tests: what does a program answer?

use super::Insn;

/// The answer of `program` to a device access, as the kernel would compute it.
pub(crate) fn run(program: &[Insn], context: [u32; 3]) -> u32 {
    let mut regs = [0_u32; 7];
    let mut at = 0;
    // No program jumps backwards, so each instruction runs at most once.
    for _ in 0..program.len() {
        let insn = program[at];
        let (dst, src) = (usize::from(insn.dst), usize::from(insn.src));
        let imm = insn.imm.cast_unsigned();
        at += 1;
        let mut skip = false;
        match insn.code {
            Insn::LOAD_WORD => {
                assert_eq!(src, 1, "loads come from the context");
                regs[dst] = context[usize::try_from(insn.off).unwrap() / 4];
            }
            Insn::AND_IMM => regs[dst] &= imm,
            Insn::SHR_IMM => regs[dst] >>= imm,
            Insn::MOV => regs[dst] = regs[src],
            Insn::MOV_IMM => regs[dst] = imm,
            Insn::JUMP_EQ => skip = regs[dst] == imm,
            Insn::JUMP_NE => skip = regs[dst] != imm,
            Insn::EXIT => return regs[0],
            other => panic!("unknown instruction {other:#x}"),
        }
        if skip {
            at += usize::try_from(insn.off).expect("only forward");
        }
    }
    panic!("the program doesn't end");
}
