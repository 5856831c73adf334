//! Scheduling class, I/O priority and persona of the calling process.

use crate::{Result, raw};

/// What `sched_setattr(2)` takes, in its units (nanoseconds).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// `SCHED_*`.
    pub policy: u32,
    /// `SCHED_FLAG_*`.
    pub flags: u64,
    /// Nice value of the time-sharing classes.
    pub nice: i32,
    /// Static priority of the real-time classes.
    pub priority: u32,
    /// Deadline class: runtime.
    pub runtime: u64,
    /// Deadline class: deadline.
    pub deadline: u64,
    /// Deadline class: period.
    pub period: u64,
}

/// Sets the calling thread's scheduling class.
///
/// # Errors
/// What `sched_setattr(2)` says.
pub fn set_attributes(a: &Attributes) -> Result<()> {
    raw::sched::sched_setattr(&mut raw::sched::SchedAttr {
        policy: a.policy,
        flags: a.flags,
        nice: a.nice,
        priority: a.priority,
        runtime: a.runtime,
        deadline: a.deadline,
        period: a.period,
        ..raw::sched::SchedAttr::default()
    })
}

/// Sets the calling thread's I/O scheduling class (0–3) and priority (0–7) within it.
///
/// # Errors
/// What `ioprio_set(2)` says.
pub fn set_io_priority(class: u8, priority: u8) -> Result<()> {
    const CLASS_SHIFT: i32 = 13;
    raw::sched::ioprio_set(i32::from(class) << CLASS_SHIFT | i32::from(priority))
}

/// Sets the execution domain of the calling process (`personality(2)`).
///
/// # Errors
/// What `personality(2)` says.
pub fn set_personality(persona: u64) -> Result<()> {
    raw::misc::personality(persona).map(drop)
}
