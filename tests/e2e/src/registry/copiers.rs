//! The programs that copy images: skopeo, Podman, Buildah, each on a storage of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::Site;
use crate::programs::{self, Ran};

/// One of Debian's programs of the containers project, with a storage of its own.
pub struct Copier {
    root: tempfile::TempDir,
    program: &'static str,
    driver: &'static str,
}

impl Copier {
    /// `skopeo`.
    pub fn skopeo() -> Result<Self> {
        Self::new("/usr/bin/skopeo")
    }

    /// `podman`.
    pub fn podman() -> Result<Self> {
        Self::new("/usr/bin/podman")
    }

    /// `buildah`.
    pub fn buildah() -> Result<Self> {
        Self::new("/usr/bin/buildah")
    }

    /// The same with another storage driver than `vfs`, which works anywhere and copies everything.
    pub fn on(mut self, driver: &'static str) -> Self {
        self.driver = driver;
        self
    }

    fn new(program: &'static str) -> Result<Self> {
        let root = tempfile::Builder::new().prefix("berth-copier-").tempdir()?;
        let policy = "{\"default\": [{\"type\": \"insecureAcceptAnything\"}]}";
        std::fs::write(root.path().join("policy.json"), policy)?;
        std::fs::write(root.path().join("auth.json"), "{}")?;
        // Names are always whole: no search, no mirror of this machine's.
        std::fs::write(root.path().join("registries.conf"), "unqualified-search-registries = []\n")?;
        let conf = "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n\
                    [engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n";
        std::fs::write(root.path().join("containers.conf"), conf)?;
        Ok(Self { root, program, driver: "vfs" })
    }

    /// Its folder.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// Its program.
    pub fn program(&self) -> &'static str {
        self.program
    }

    /// A command of it.
    pub fn command(&self) -> Command {
        let root = self.root.path();
        let mut command = Command::new(self.program);
        command
            .env("CONTAINERS_CONF", root.join("containers.conf"))
            .env("CONTAINERS_REGISTRIES_CONF", root.join("registries.conf"))
            .env("REGISTRY_AUTH_FILE", root.join("auth.json"))
            .env("TMPDIR", root)
            .env_remove("DOCKER_HOST");
        if self.program.ends_with("skopeo") {
            command.arg("--policy").arg(root.join("policy.json"));
        } else {
            command.arg("--root").arg(root.join("data")).arg("--runroot").arg(root.join("run"));
            command.args(["--storage-driver", self.driver]);
        }
        if self.program.ends_with("podman") {
            command.arg("--tmpdir").arg(root.join("tmp"));
        }
        command
    }

    /// Runs it with `args`.
    pub fn run(&self, args: &[&str]) -> Result<Ran> {
        programs::run(self.command().args(args))
    }

    /// `pull` or `push` of a name at a site (Podman, Buildah).
    pub fn transfer(&self, verb: &str, site: &Site, rest: &str) -> Result<String> {
        let mut command = self.command();
        command.arg(verb).args(flags(site, ""));
        programs::run(command.arg(site.name(rest)))?.ok()
    }

    /// `skopeo copy` from a site to a folder (`dir:`).
    pub fn fetch(&self, site: &Site, rest: &str, to: &Path) -> Result<()> {
        let mut command = self.command();
        command.args(["copy", "--all", "--preserve-digests"]).args(flags(site, "src-"));
        command.arg(format!("docker://{}", site.name(rest))).arg(format!("dir:{}", to.display()));
        programs::run(&mut command)?.ok().map(drop)
    }

    /// `skopeo copy` from a folder to a site.
    pub fn store(&self, from: &Path, site: &Site, rest: &str) -> Result<()> {
        let mut command = self.command();
        command.args(["copy", "--all", "--preserve-digests"]).args(flags(site, "dest-"));
        command.arg(format!("dir:{}", from.display())).arg(format!("docker://{}", site.name(rest)));
        programs::run(&mut command)?.ok().map(drop)
    }

    /// `skopeo inspect --raw`: the bytes of a manifest.
    pub fn raw(&self, site: &Site, rest: &str) -> Result<String> {
        let mut command = self.command();
        command.args(["inspect", "--raw"]).args(flags(site, ""));
        programs::run(command.arg(format!("docker://{}", site.name(rest))))?.ok()
    }
}

impl Drop for Copier {
    fn drop(&mut self) {
        // The storage drivers leave their own home bound to itself.
        for mount in crate::leaks::mounts(self.root.path()).unwrap_or_default().iter().rev() {
            let place = PathBuf::from(mount.split(' ').nth(4).unwrap_or_default());
            let _ = rustix::mount::unmount(&place, rustix::mount::UnmountFlags::DETACH);
        }
    }
}

/// How a site is reached.
fn flags(site: &Site, side: &str) -> Vec<String> {
    let mut flags = match &site.certificates {
        Some(folder) => vec![format!("--{side}cert-dir={}", folder.display())],
        None => vec![format!("--{side}tls-verify=false")],
    };
    flags.extend(site.credentials().map(|both| format!("--{side}creds={both}")));
    flags
}
