//! Columns of `ps`.

use super::process::{Process, System};

/// A column and its title.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) kind: Kind,
    pub(super) title: String,
}

/// What a column shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    User,
    Uid,
    Group,
    Gid,
    Pid,
    Ppid,
    Pgid,
    Sid,
    Cpu,
    CpuPercent,
    MemoryPercent,
    Virtual,
    Resident,
    Terminal,
    State,
    LongState,
    Start,
    Time,
    Elapsed,
    Nice,
    Priority,
    Threads,
    Name,
    Command,
    RealUser,
    RealUid,
    Thread,
    Processor,
    Pages,
    Flags,
    Channel,
    Address,
    Label,
    BsdTime,
    LongStart,
    Seconds,
    MinorFaults,
    MajorFaults,
    ForegroundGroup,
    Cgroup,
}

/// Names that `-o` knows, with their titles.
const NAMES: [(&str, &str, Kind); 71] = [
    ("user", "USER", Kind::User),
    ("euser", "EUSER", Kind::User),
    ("uname", "USER", Kind::User),
    ("uid", "UID", Kind::Uid),
    ("euid", "EUID", Kind::Uid),
    ("group", "GROUP", Kind::Group),
    ("egroup", "EGROUP", Kind::Group),
    ("gid", "GID", Kind::Gid),
    ("egid", "EGID", Kind::Gid),
    ("pid", "PID", Kind::Pid),
    ("tgid", "TGID", Kind::Pid),
    ("ppid", "PPID", Kind::Ppid),
    ("pgid", "PGID", Kind::Pgid),
    ("pgrp", "PGRP", Kind::Pgid),
    ("sid", "SID", Kind::Sid),
    ("sess", "SESS", Kind::Sid),
    ("c", "C", Kind::Cpu),
    ("%cpu", "%CPU", Kind::CpuPercent),
    ("pcpu", "%CPU", Kind::CpuPercent),
    ("%mem", "%MEM", Kind::MemoryPercent),
    ("pmem", "%MEM", Kind::MemoryPercent),
    ("vsz", "VSZ", Kind::Virtual),
    ("vsize", "VSZ", Kind::Virtual),
    ("rss", "RSS", Kind::Resident),
    ("rssize", "RSS", Kind::Resident),
    ("tty", "TT", Kind::Terminal),
    ("tname", "TTY", Kind::Terminal),
    ("s", "S", Kind::State),
    ("state", "S", Kind::State),
    ("stat", "STAT", Kind::LongState),
    ("stime", "STIME", Kind::Start),
    ("start", "STARTED", Kind::Start),
    ("time", "TIME", Kind::Time),
    ("etime", "ELAPSED", Kind::Elapsed),
    ("ni", "NI", Kind::Nice),
    ("pri", "PRI", Kind::Priority),
    ("nlwp", "NLWP", Kind::Threads),
    ("comm", "COMMAND", Kind::Name),
    ("cmd", "CMD", Kind::Command),
    ("args", "COMMAND", Kind::Command),
    ("command", "COMMAND", Kind::Command),
    ("ucmd", "CMD", Kind::Name),
    ("ucomm", "COMMAND", Kind::Name),
    ("ruser", "RUSER", Kind::RealUser),
    ("ruid", "RUID", Kind::RealUid),
    ("tid", "TID", Kind::Thread),
    ("lwp", "LWP", Kind::Thread),
    ("spid", "SPID", Kind::Thread),
    ("thcount", "THCNT", Kind::Threads),
    ("psr", "PSR", Kind::Processor),
    ("sz", "SZ", Kind::Pages),
    ("f", "F", Kind::Flags),
    ("flag", "F", Kind::Flags),
    ("flags", "F", Kind::Flags),
    ("wchan", "WCHAN", Kind::Channel),
    ("addr", "ADDR", Kind::Address),
    ("label", "LABEL", Kind::Label),
    ("context", "CONTEXT", Kind::Label),
    ("bsdtime", "TIME", Kind::BsdTime),
    ("cputime", "TIME", Kind::Time),
    ("bsdstart", "START", Kind::Start),
    ("start_time", "START", Kind::Start),
    ("lstart", "STARTED", Kind::LongStart),
    ("etimes", "ELAPSED", Kind::Seconds),
    ("nice", "NI", Kind::Nice),
    ("rsz", "RSZ", Kind::Resident),
    ("min_flt", "MINFL", Kind::MinorFaults),
    ("maj_flt", "MAJFL", Kind::MajorFaults),
    ("tpgid", "TPGID", Kind::ForegroundGroup),
    ("tt", "TT", Kind::Terminal),
    ("cgroup", "CGROUP", Kind::Cgroup),
];

impl Column {
    /// A column by `-o`'s name for it.
    pub(super) fn named(name: &str) -> Option<Self> {
        let (_, title, kind) = NAMES.iter().find(|(known, ..)| *known == name)?;
        Some(Self { kind: *kind, title: (*title).to_owned() })
    }

    pub(super) fn title(&self) -> &str {
        &self.title
    }

    /// Its text for a process.
    pub(super) fn value(&self, process: &Process, system: &System) -> String {
        match self.kind {
            Kind::User => system.user(process.uid),
            Kind::Uid => process.uid.to_string(),
            Kind::Group => system.group(process.gid),
            Kind::Gid => process.gid.to_string(),
            Kind::Pid => process.pid.to_string(),
            Kind::Ppid => process.field(4).to_string(),
            Kind::Pgid => process.field(5).to_string(),
            Kind::Sid => process.field(6).to_string(),
            Kind::Cpu => format!("{:.0}", process.cpu_percent(system).min(99.0).floor()),
            Kind::CpuPercent => format!("{:.1}", process.cpu_percent(system)),
            Kind::MemoryPercent => {
                let total = (system.memory / 1024).max(1);
                format!("{:.1}", process.resident_kib(system) as f64 * 100.0 / total as f64)
            }
            Kind::Virtual => process.virtual_kib().to_string(),
            Kind::Resident => process.resident_kib(system).to_string(),
            Kind::Terminal => process.terminal(),
            Kind::State => process.state.clone(),
            Kind::LongState => process.long_state(),
            Kind::Start => start(process, system),
            Kind::Time => time(process.cpu_seconds(system)),
            Kind::Elapsed => elapsed(process.age(system)),
            Kind::Nice => process.field(19).to_string(),
            Kind::Priority => (39 - process.field(18)).to_string(),
            Kind::Threads => process.field(20).to_string(),
            Kind::Name => process.command.clone(),
            Kind::Command => process.arguments.clone(),
            _ => self.rare(process, system),
        }
    }

    /// Its text where that is not in a process's everyday columns.
    fn rare(&self, process: &Process, system: &System) -> String {
        match self.kind {
            Kind::RealUser => system.user(process.real_uid()),
            Kind::RealUid => process.real_uid().to_string(),
            Kind::Thread => process.field(1).to_string(),
            Kind::Processor => process.field(39).to_string(),
            Kind::Pages => (process.virtual_kib() * 1024 / system.page.max(1)).to_string(),
            // what of the kernel's flags ps shows: forked but not executed, used privileges
            Kind::Flags => (process.field(9) >> 6 & 7).to_string(),
            Kind::Channel => {
                process.text("wchan").filter(|name| name != "0").unwrap_or_else(|| "-".to_owned())
            }
            Kind::Label => process.text("attr/current").unwrap_or_else(|| "-".to_owned()),
            Kind::BsdTime => {
                let seconds = process.cpu_seconds(system);
                format!("{}:{:02}", seconds / 60, seconds % 60)
            }
            Kind::LongStart => moment(process, system)
                .map_or_else(|| "?".to_owned(), |moment| moment.strftime("%a %b %e %H:%M:%S %Y").to_string()),
            Kind::Seconds => process.age(system).to_string(),
            Kind::MinorFaults => process.field(10).to_string(),
            Kind::MajorFaults => process.field(12).to_string(),
            Kind::ForegroundGroup => process.field(8).to_string(),
            Kind::Cgroup => process
                .text("cgroup")
                .map_or_else(|| "-".to_owned(), |text| text.split('\n').collect::<Vec<_>>().join(",")),
            _ => "-".to_owned(),
        }
    }
}

/// `HH:MM` of today, else `MonDD`, in UTC as the daemon has no time zone.
fn start(process: &Process, system: &System) -> String {
    let Some(moment) = moment(process, system) else { return "?".to_owned() };
    if process.age(system) < 24 * 60 * 60 {
        moment.strftime("%H:%M").to_string()
    } else {
        moment.strftime("%b%d").to_string()
    }
}

/// When a process began.
fn moment(process: &Process, system: &System) -> Option<jiff::Zoned> {
    let age = i64::try_from(process.age(system)).unwrap_or_default();
    let moment = jiff::Timestamp::from_second(system.now - age).ok()?;
    Some(moment.to_zoned(jiff::tz::TimeZone::UTC))
}

/// `HH:MM:SS`.
fn time(seconds: u64) -> String {
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// `[[DD-]HH:]MM:SS`.
fn elapsed(seconds: u64) -> String {
    let (days, hours) = (seconds / 86400, seconds / 3600 % 24);
    let rest = format!("{:02}:{:02}", seconds / 60 % 60, seconds % 60);
    match (days, hours) {
        (0, 0) => rest,
        (0, hours) => format!("{hours:02}:{rest}"),
        (days, hours) => format!("{days}-{hours:02}:{rest}"),
    }
}
