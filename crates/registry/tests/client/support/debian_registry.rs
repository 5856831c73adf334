//! Debian's `docker-registry` on a port of its own.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A running registry; ends with its value.
pub(crate) struct DockerRegistry {
    child: Child,
    pub(crate) address: String,
    pub(crate) root: tempfile::TempDir,
}

impl DockerRegistry {
    pub(crate) fn start() -> Self {
        Self::with(|_| String::new())
    }

    /// `more` makes further lines of its YAML (those of `http` first), and files in its root.
    pub(crate) fn with(more: impl FnOnce(&Path) -> String) -> Self {
        let root = tempfile::tempdir().unwrap();
        let config = root.path().join("config.yml");
        let data = root.path().join("data");
        let text = format!(
            "version: 0.1\nlog:\n  level: info\nstorage:\n  filesystem:\n    rootdirectory: {}\n  delete:\n    \
             enabled: true\nhttp:\n  addr: 127.0.0.1:0\n{}",
            data.display(),
            more(root.path())
        );
        std::fs::write(&config, text).unwrap();
        let mut child = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("docker-registry is installed by `cargo xtask test`");
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut seen = String::new();
        let address = loop {
            let line = lines.next().unwrap_or_else(|| panic!("docker-registry has ended: {seen}")).unwrap();
            if let Some((_, rest)) = line.split_once("listening on ") {
                break rest.split(['"', ',', ' ']).next().unwrap().to_owned();
            }
            seen.push_str(&line);
        };
        // its log must go somewhere as long as it runs
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address, root }
    }

    /// A repository in it.
    pub(crate) fn reference(&self, path: &str) -> oci::Reference {
        oci::Reference::parse(&format!("{}/{path}", self.address)).unwrap()
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
