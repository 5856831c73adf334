//! One process out of `/proc`, proc_pid_stat(5).

use std::fs;
use std::os::unix::fs::MetadataExt as _;

/// Longest file of a process that is read, bytes.
const MOST_BYTES: usize = 1 << 20;

/// What columns need of the machine.
pub(super) struct System {
    /// Ticks a second.
    pub(super) ticks: u64,
    /// Bytes of a page.
    pub(super) page: u64,
    /// Seconds since the machine started.
    pub(super) uptime: f64,
    /// Bytes of memory.
    pub(super) memory: u64,
    /// Now, seconds since 1970.
    pub(super) now: i64,
    /// The host's users.
    passwd: String,
    /// The host's groups.
    groups: String,
}

impl System {
    pub(super) fn read() -> Self {
        let text = |path| fs::read_to_string(path).unwrap_or_default();
        let first = |text: &str| text.split_whitespace().next().and_then(|word| word.parse().ok());
        let memory = text("/proc/meminfo")
            .lines()
            .find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next()?.parse::<u64>().ok());
        Self {
            ticks: rustix::param::clock_ticks_per_second(),
            page: rustix::param::page_size() as u64,
            uptime: first(&text("/proc/uptime")).unwrap_or_default(),
            memory: memory.unwrap_or_default() * 1024,
            now: jiff::Timestamp::now().as_second(),
            passwd: text("/etc/passwd"),
            groups: text("/etc/group"),
        }
    }

    /// A user's name on the host, or the number.
    pub(super) fn user(&self, uid: u32) -> String {
        named(&self.passwd, uid)
    }

    /// A group's name on the host, or the number.
    pub(super) fn group(&self, gid: u32) -> String {
        named(&self.groups, gid)
    }
}

/// The name of an id in passwd(5) or group(5).
fn named(table: &str, id: u32) -> String {
    let id = id.to_string();
    let found = table.lines().map(|line| line.split(':')).find_map(|mut fields| {
        let name = fields.next()?;
        (fields.nth(1)? == id).then(|| name.to_owned())
    });
    found.unwrap_or(id)
}

/// One process, or one thread of it.
pub(super) struct Process {
    directory: String,
    pub(super) pid: i32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) command: String,
    pub(super) arguments: String,
    pub(super) state: String,
    fields: Vec<String>,
}

impl Process {
    /// `None` when it has ended.
    pub(super) fn read(pid: i32) -> Option<Self> {
        Self::read_at(pid, format!("/proc/{pid}"))
    }

    /// All threads of a process.
    pub(super) fn threads(pid: i32) -> Vec<Self> {
        let entries = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        let mut ids: Vec<i32> = entries.filter_map(|one| one.file_name().to_str()?.parse().ok()).collect();
        ids.sort_unstable();
        ids.iter().filter_map(|id| Self::read_at(pid, format!("/proc/{pid}/task/{id}"))).collect()
    }

    fn read_at(pid: i32, directory: String) -> Option<Self> {
        let meta = fs::metadata(&directory).ok()?;
        let read = |name: &str| {
            sys::file::read_bounded(format!("{directory}/{name}"), MOST_BYTES).unwrap_or_default()
        };
        let stat = String::from_utf8_lossy(&read("stat")).into_owned();
        // the name is in brackets, and may hold brackets itself
        let (open, close) = (stat.find('(')?, stat.rfind(')')?);
        let command = stat.get(open + 1..close)?.to_owned();
        let fields: Vec<_> = stat.get(close + 1..)?.split_whitespace().map(str::to_owned).collect();
        let raw = read("cmdline");
        let words: Vec<_> = raw.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
        let joined = words.join(" ").trim_end().to_owned();
        let arguments = if joined.is_empty() { format!("[{command}]") } else { joined };
        Some(Self {
            directory,
            pid,
            uid: meta.uid(),
            gid: meta.gid(),
            state: fields.first().cloned().unwrap_or_default(),
            command,
            arguments,
            fields,
        })
    }

    /// The text of a small file of it.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        let text = sys::file::read_bounded(format!("{}/{name}", self.directory), MOST_BYTES).ok()?;
        let text = String::from_utf8_lossy(&text).trim_matches(['\0', '\n', ' ']).to_owned();
        (!text.is_empty()).then_some(text)
    }

    /// The user that started it.
    pub(super) fn real_uid(&self) -> u32 {
        let status = self.text("status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("Uid:"));
        line.and_then(|ids| ids.split_whitespace().next()?.parse().ok()).unwrap_or(self.uid)
    }

    /// A numbered field of proc_pid_stat(5), counted as there (1 = id, 3 = state).
    pub(super) fn field(&self, number: usize) -> i64 {
        if number == 1 {
            let id = self.directory.rsplit('/').next();
            return id.and_then(|id| id.parse().ok()).unwrap_or_default();
        }
        self.fields.get(number - 3).and_then(|field| field.parse().ok()).unwrap_or_default()
    }

    fn unsigned(&self, number: usize) -> u64 {
        u64::try_from(self.field(number)).unwrap_or_default()
    }

    /// Seconds of CPU time used.
    pub(super) fn cpu_seconds(&self, system: &System) -> u64 {
        (self.unsigned(14) + self.unsigned(15)) / system.ticks.max(1)
    }

    /// Seconds since it began.
    pub(super) fn age(&self, system: &System) -> u64 {
        let began = self.unsigned(22) as f64 / system.ticks.max(1) as f64;
        (system.uptime - began).max(0.0) as u64
    }

    /// Share of one CPU over its whole life, percent.
    pub(super) fn cpu_percent(&self, system: &System) -> f64 {
        match self.age(system) {
            0 => 0.0,
            age => self.cpu_seconds(system) as f64 * 100.0 / age as f64,
        }
    }

    /// Virtual memory, KiB.
    pub(super) fn virtual_kib(&self) -> u64 {
        self.unsigned(23) / 1024
    }

    /// Resident memory, KiB.
    pub(super) fn resident_kib(&self, system: &System) -> u64 {
        self.unsigned(24) * system.page / 1024
    }

    /// Its controlling terminal: `pts/0`, `?`.
    pub(super) fn terminal(&self) -> String {
        let number = self.unsigned(7);
        let (major, minor) = (rustix::fs::major(number), rustix::fs::minor(number));
        match major {
            0 => "?".to_owned(),
            4 => format!("tty{minor}"),
            136..=143 => format!("pts/{}", (major - 136) * 256 + minor),
            _ => "?".to_owned(),
        }
    }

    /// `Ss+`: state, and what `ps aux` adds to it.
    pub(super) fn long_state(&self) -> String {
        let mut state = self.state.clone();
        if self.field(19) < 0 {
            state.push('<');
        } else if self.field(19) > 0 {
            state.push('N');
        }
        if self.field(6) == i64::from(self.pid) {
            state.push('s');
        }
        if self.field(20) > 1 {
            state.push('l');
        }
        if self.field(8) == self.field(5) && self.field(8) > 0 {
            state.push('+');
        }
        state
    }
}
