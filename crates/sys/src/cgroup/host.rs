//! Which cgroup hierarchies this host has mounted, and where.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::{Controller, Controllers, Error, Result};

/// The cgroup setup of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// One or more v1 hierarchies and no v2.
    V1,
    /// v1 hierarchies that have the controllers, and a v2 hierarchy beside them (in systemd's hybrid
    /// layout at `/sys/fs/cgroup/unified`) that has none of those.
    Hybrid,
    /// The unified hierarchy alone.
    V2,
}

/// One mounted v1 hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    /// Where it is mounted.
    pub mount: PathBuf,
    /// The part of the hierarchy that the mount shows (`/` on a host).
    pub root: PathBuf,
    /// Its controllers; empty for a named hierarchy.
    pub controllers: Controllers,
    /// The superblock's words that make the hierarchy: `cpu,cpuacct` or `name=systemd`. A mount of the
    /// same hierarchy in a container takes these as data.
    pub options: String,
}

/// The mounted hierarchies of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The v1 hierarchies, in the order of mounting; each hierarchy once.
    pub v1: Vec<Hierarchy>,
    /// Mount point of the unified hierarchy, in hybrid and v2 setups.
    pub unified: Option<PathBuf>,
}

impl Host {
    /// The setup of this process's mount namespace, read from `/proc/self/mountinfo` at the first call.
    ///
    /// # Errors
    /// [`Error::NotMounted`] without any hierarchy, [`Error::Io`] without `/proc`.
    pub fn get() -> Result<&'static Self> {
        static HOST: OnceLock<Host> = OnceLock::new();
        if let Some(host) = HOST.get() {
            return Ok(host);
        }
        let path = Path::new("/proc/self/mountinfo");
        let text = std::fs::read(path).map_err(|err| Error::from_io("read", path, &err))?;
        let host = Self::parse(&String::from_utf8_lossy(&text))?;
        Ok(HOST.get_or_init(|| host))
    }

    /// Reads the text of a `mountinfo` file (`proc_pid_mountinfo(5)`).
    ///
    /// # Errors
    /// [`Error::NotMounted`] without any hierarchy.
    pub fn parse(mountinfo: &str) -> Result<Self> {
        let mut host = Self { v1: Vec::new(), unified: None };
        for mount in mountinfo.lines().filter_map(Mount::parse) {
            match mount.kind {
                "cgroup2" if host.unified.is_none() => {
                    host.unified = Some(crate::mount::unescape(mount.point))
                }
                "cgroup" => host.add_v1(&mount),
                _ => {}
            }
        }
        if host.v1.is_empty() && host.unified.is_none() { Err(Error::NotMounted) } else { Ok(host) }
    }

    fn add_v1(&mut self, mount: &Mount<'_>) {
        let words = || mount.options.split(',');
        let identity: Vec<_> = words()
            .filter(|word| word.starts_with("name=") || Controller::from_name(word).is_some())
            .collect();
        let options = identity.join(",");
        if options.is_empty() || self.v1.iter().any(|known| known.options == options) {
            return;
        }
        self.v1.push(Hierarchy {
            mount: crate::mount::unescape(mount.point),
            root: crate::mount::unescape(mount.root),
            controllers: Controllers::from_names(words()),
            options,
        });
    }

    /// Which layout this is. A host is v2 only when no v1 hierarchy has a controller.
    #[must_use]
    pub fn version(&self) -> Version {
        let v1_rules = self.v1.iter().any(|hierarchy| !hierarchy.controllers.is_empty());
        match (&self.unified, v1_rules) {
            (Some(_), false) => Version::V2,
            (Some(_), true) => Version::Hybrid,
            (None, _) => Version::V1,
        }
    }

    /// The v1 hierarchy that has `controller`.
    #[must_use]
    pub fn hierarchy(&self, controller: Controller) -> Option<&Hierarchy> {
        self.v1.iter().find(|hierarchy| hierarchy.controllers.has(controller))
    }

    /// The controllers that can be used: those of the v1 hierarchies, or `cgroup.controllers` of the
    /// unified root.
    ///
    /// # Errors
    /// [`Error::Io`] when the unified root can't be read.
    pub fn controllers(&self) -> Result<Controllers> {
        match (self.version(), &self.unified) {
            (Version::V2, Some(mount)) => {
                let path = mount.join("cgroup.controllers");
                let text =
                    std::fs::read_to_string(&path).map_err(|err| Error::from_io("read", &path, &err))?;
                Ok(Controllers::from_names(text.split_whitespace()))
            }
            _ => Ok(self.v1.iter().fold(Controllers::default(), |all, one| all.union(one.controllers))),
        }
    }
}

/// The fields of a `mountinfo` line that matter here.
struct Mount<'a> {
    root: &'a str,
    point: &'a str,
    kind: &'a str,
    options: &'a str,
}

impl<'a> Mount<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        // The optional fields before the dash vary in number, so the line is cut at the dash first.
        let (before, after) = line.split_once(" - ")?;
        let mut after = after.split(' ');
        let kind = after.next().filter(|kind| kind.starts_with("cgroup"))?;
        let options = after.nth(1)?;
        let mut before = before.split(' ').skip(3);
        Some(Self { root: before.next()?, point: before.next()?, kind, options })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:3 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
36 31 0:32 / /else\\040where rw,relatime - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate
";

    #[test]
    fn hybrid_is_v1_with_a_unified_tree_beside_it() {
        let host = Host::parse(HYBRID).unwrap();
        assert_eq!(host.version(), Version::Hybrid);
        assert_eq!(host.v1.len(), 3, "the second mount of memory is the same hierarchy");
        assert_eq!(
            host.hierarchy(Controller::Cpuacct).unwrap().mount,
            Path::new("/sys/fs/cgroup/cpu,cpuacct")
        );
        assert_eq!(host.v1[0].options, "cpu,cpuacct");
        assert_eq!(host.v1[2].options, "name=systemd");
        assert!(host.v1[2].controllers.is_empty());
        assert_eq!(host.hierarchy(Controller::NetCls), None);
        assert_eq!(host.unified.as_deref(), Some(Path::new("/sys/fs/cgroup/unified")));
        assert!(host.controllers().unwrap().has(Controller::Memory));
    }

    #[test]
    fn unified_alone_is_v2() {
        let host = Host::parse("30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n").unwrap();
        assert_eq!(host.version(), Version::V2);
        let named = "30 23 0:26 / /c rw - cgroup2 cgroup2 rw\n31 23 0:27 / /d rw - cgroup cgroup rw,name=x\n";
        assert_eq!(Host::parse(named).unwrap().version(), Version::V2);
    }

    #[test]
    fn nothing_mounted_is_said() {
        assert!(matches!(Host::parse("1 2 0:1 / / rw - ext4 /dev/vda rw\n"), Err(Error::NotMounted)));
        assert!(matches!(Host::parse("garbage"), Err(Error::NotMounted)));
    }

    #[test]
    fn escapes() {
        assert_eq!(crate::mount::unescape("/a\\040b\\134"), Path::new("/a b\\"));
        assert_eq!(crate::mount::unescape("/a\\04"), Path::new("/a\\04"));
        assert_eq!(crate::mount::unescape("/a\\777"), Path::new("/a\\777"));
    }
}
