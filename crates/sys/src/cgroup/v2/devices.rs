//! Device access on v2: an eBPF program that the kernel asks (`BPF_PROG_TYPE_CGROUP_DEVICE`).

use super::super::devices::DeviceList;
use super::super::dir::Dir;
use super::super::{DeviceKind, DeviceRule, Result};
use crate::bpf::{self, Insn, Reg, Size};

/// `BPF_DEVCG_DEV_BLOCK` and `BPF_DEVCG_DEV_CHAR`.
const TYPE_BLOCK: i32 = 1;
const TYPE_CHAR: i32 = 2;
/// Offsets in `struct bpf_cgroup_dev_ctx`: `(access << 16) | type`, major, minor.
const ACCESS_TYPE: i16 = 0;
const MAJOR: i16 = 4;
const MINOR: i16 = 8;

pub(super) fn apply(dir: &Dir, rules: Option<&[DeviceRule]>) -> Result<()> {
    let Some(rules) = rules else { return Ok(()) };
    let list = DeviceList::new(rules);
    if list.allow_by_default && list.exceptions.is_empty() {
        return Ok(bpf::detach_device_filters(dir)?);
    }
    Ok(bpf::replace_device_filter(dir, &program(&list))?)
}

/// The rules as a program, the last first. A register holds the kinds of access that are still to be
/// decided: an allowing rule takes its kinds out, and when none is left the answer is yes; a denying
/// rule that finds one of its kinds left answers no. So a device that one rule opens for reading and
/// another for writing can be opened for both at once.
fn program(list: &DeviceList) -> Vec<Insn> {
    let (kind, wanted, major, minor, scratch) = (Reg::R2, Reg::R3, Reg::R4, Reg::R5, Reg::R6);
    let mut code = vec![
        Insn::load(Size::Word, kind, Reg::R1, ACCESS_TYPE),
        Insn::mov(wanted, kind),
        Insn::and_imm(kind, 0xffff),
        Insn::shr_imm(wanted, 16),
        Insn::load(Size::Word, major, Reg::R1, MAJOR),
        Insn::load(Size::Word, minor, Reg::R1, MINOR),
    ];
    for rule in list.exceptions.iter().rev() {
        let body = decide(rule, wanted, scratch);
        let tests = [
            (
                kind,
                match rule.kind {
                    DeviceKind::All => None,
                    DeviceKind::Block => Some(TYPE_BLOCK),
                    DeviceKind::Char => Some(TYPE_CHAR),
                },
            ),
            (major, rule.major.map(u32::cast_signed)),
            (minor, rule.minor.map(u32::cast_signed)),
        ];
        let tests: Vec<_> = tests.into_iter().filter_map(|(reg, value)| Some((reg, value?))).collect();
        for (index, (reg, value)) in tests.iter().enumerate() {
            let skip = tests.len() - index - 1 + body.len();
            code.push(Insn::jump_ne(*reg, *value, i16::try_from(skip).unwrap_or(i16::MAX)));
        }
        code.extend(body);
    }
    code.extend(answer(list.allow_by_default));
    code
}

/// What a rule does to an access of its device.
fn decide(rule: &DeviceRule, wanted: Reg, scratch: Reg) -> Vec<Insn> {
    let bits = i32::from(rule.access.0);
    let [set, exit] = answer(rule.allow);
    if rule.allow {
        // wanted &= !bits; if wanted == 0 { return 1 }
        vec![Insn::and_imm(wanted, !bits & 7), Insn::jump_ne(wanted, 0, 2), set, exit]
    } else {
        // if wanted & bits != 0 { return 0 }
        vec![
            Insn::mov(scratch, wanted),
            Insn::and_imm(scratch, bits),
            Insn::jump_eq(scratch, 0, 2),
            set,
            exit,
        ]
    }
}

fn answer(allow: bool) -> [Insn; 2] {
    [Insn::mov_imm(Reg::R0, i32::from(allow)), Insn::exit()]
}

#[cfg(test)]
mod tests;
