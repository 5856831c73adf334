//! Debian's `docker-registry` and our own, started the same way.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::tls::{self, Authority, Pair};
use super::token::{ISSUER, SERVICE, TokenServer};
use super::{HTPASSWD, PASSWORD, Probe, Site, USER};
use crate::lab::Namespace;
use crate::programs::{self, PATIENCE};

/// Whose program it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Debian's `docker-registry`.
    Debian,
    /// `berth registry serve`.
    Ours,
}

impl Kind {
    /// Both, for tests that are written once.
    pub const ALL: [Self; 2] = [Self::Debian, Self::Ours];
}

/// Whom a registry lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Access {
    /// Everybody.
    #[default]
    Open,
    /// Whoever knows the password of [`USER`].
    Password,
    /// Whoever has a token of a token server.
    Token,
}

/// How a registry is to be.
#[derive(Debug, Clone, Default)]
pub struct Wants {
    /// Whom it lets in.
    pub access: Access,
    /// It and its token server speak TLS, with a certificate of a private authority.
    pub tls: bool,
    /// It wants clients' certificates.
    pub clients: bool,
    /// Where it lives, if not at the machine's loopback interface.
    pub place: Option<(Namespace, IpAddr)>,
    /// The storage of ours, as its configuration has it, if it is not a directory of its own.
    pub bucket: Option<String>,
    /// Lines to add to the configuration: YAML for Debian's, TOML for ours.
    pub more: String,
}

/// A running registry with a storage of its own.
pub struct Registry {
    root: tempfile::TempDir,
    kind: Kind,
    wants: Wants,
    site: Site,
    tokens: Option<TokenServer>,
    authority: Option<(Authority, Pair)>,
    child: Option<Child>,
}

impl Registry {
    /// Starts one that lets everybody in.
    pub fn start(kind: Kind) -> Result<Self> {
        Self::with(kind, Wants::default())
    }

    /// Starts one that is as it is wanted.
    pub fn with(kind: Kind, wants: Wants) -> Result<Self> {
        let root = tempfile::Builder::new().prefix("berth-registry-").tempdir()?;
        let place = wants.place.as_ref().map(|(netns, ip)| (netns, *ip));
        let ip = wants.place.as_ref().map_or("127.0.0.1".to_owned(), |(_, ip)| ip.to_string());
        let authority = match wants.tls {
            true => {
                let authority = Authority::new()?;
                let pair = authority.issue("server", &format!("IP:{ip}"), 2)?;
                Some((authority, pair))
            }
            false => None,
        };
        let tokens = match (wants.access, &authority) {
            (Access::Token, Some((_, pair))) => Some(TokenServer::start(place, Some(tls::serving(pair)?))?),
            (Access::Token, None) => Some(TokenServer::start(place, None)?),
            (Access::Open | Access::Password, _) => None,
        };
        let login = match wants.access {
            Access::Open => None,
            Access::Password | Access::Token => Some((USER.to_owned(), PASSWORD.to_owned())),
        };
        let certificates = match &authority {
            Some((authority, _)) => {
                let client = wants.clients.then(|| authority.issue("client", "DNS:client", 2)).transpose()?;
                Some(authority.folder(&root.path().join("certificates"), client.as_ref())?)
            }
            None => None,
        };
        let site = Site { address: format!("{ip}:0"), certificates, login };
        let mut registry = Self { root, kind, wants, site, tokens, authority, child: None };
        registry.resume()?;
        Ok(registry)
    }

    /// Where it is.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// Whose it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// How it was to be.
    pub fn wants(&self) -> &Wants {
        &self.wants
    }

    /// The server that its tokens come from.
    pub fn tokens(&self) -> Option<&TokenServer> {
        self.tokens.as_ref()
    }

    /// The authority that its certificate comes from.
    pub fn authority(&self) -> Option<&Authority> {
        self.authority.as_ref().map(|(authority, _)| authority)
    }

    /// Its storage.
    pub fn storage(&self) -> PathBuf {
        self.root.path().join("storage")
    }

    /// Its folder: the configuration lies in `config`.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// Its process.
    pub fn pid(&self) -> Result<u32> {
        self.child.as_ref().map(Child::id).context("the registry does not run")
    }

    /// What it has said so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.root.path().join("log")).unwrap_or_default()
    }

    /// One that asks it directly, with what it takes to be let in; a token is for these scopes.
    pub fn probe(&self, scopes: &[&str]) -> Result<Probe> {
        let mut probe = Probe::new(&self.site);
        if let Some(tokens) = &self.tokens {
            probe = probe.bearing(Some(&tokens.token(USER, scopes)?));
        }
        if let Some((netns, _)) = &self.wants.place {
            probe = probe.inside(netns);
        }
        Ok(probe)
    }

    /// A probe with the rights to pull from and push to a repository.
    pub fn probe_of(&self, repository: &str) -> Result<Probe> {
        self.probe(&[&format!("repository:{repository}:pull,push,delete")])
    }

    /// Starts it again, where it was.
    pub fn resume(&mut self) -> Result<()> {
        ensure!(self.child.is_none(), "the registry runs");
        let config = self.root.path().join("config");
        let text = match self.kind {
            Kind::Debian => self.yaml(),
            Kind::Ours => self.toml(),
        };
        // At once: whoever reads it meanwhile reads the former one, or all of this one.
        let new = self.root.path().join("config.new");
        std::fs::write(&new, text)?;
        std::fs::rename(new, &config)?;
        let mut command = match self.kind {
            Kind::Debian => {
                let mut command = Command::new("/usr/bin/docker-registry");
                command.arg("serve").arg(&config).env_clear().env("OTEL_TRACES_EXPORTER", "none");
                command
            }
            Kind::Ours => {
                let mut command = programs::command(&programs::program("berth")?, ["registry", "serve"]);
                command.arg("--config").arg(&config);
                command
            }
        };
        // From its beginning: the address that it tells is that of this run.
        let log = std::fs::File::create(self.root.path().join("log"))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        self.child = Some(match &self.wants.place {
            Some((netns, _)) => netns.spawn(&mut command)?,
            None => command.spawn().with_context(|| format!("cannot run {command:?}"))?,
        });
        self.site.address = self.listens()?;
        Ok(())
    }

    /// The address that it says that it listens at.
    fn listens(&mut self) -> Result<String> {
        programs::eventually("the registry listens", || {
            let log = self.log();
            let told = ["listening on ", "listens at "].iter().find_map(|words| log.split(words).nth(1));
            let told = told.map(|rest| {
                rest.chars().take_while(|c| c.is_ascii_hexdigit() || ".:[]".contains(*c)).collect::<String>()
            });
            let ended = self.child.as_mut().is_some_and(|child| !matches!(child.try_wait(), Ok(None)));
            ensure!(!ended, "the registry ended:\n{log}");
            Ok(told.filter(|told| !told.is_empty() && log.ends_with('\n')))
        })
        .with_context(|| self.log())
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Ends it as `systemctl stop` does.
    pub fn terminate(&mut self) -> Result<()> {
        let mut child = self.child.take().context("the registry does not run")?;
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        let status = programs::wait(&mut child, PATIENCE)?;
        ensure!(status.is_some(), "the registry did not end on SIGTERM:\n{}", self.log());
        Ok(())
    }

    fn yaml(&self) -> String {
        let storage = self.storage().display().to_string();
        let address = &self.site.address;
        let mut text = format!(
            "version: 0.1\nlog: {{level: info}}\nstorage:\n  filesystem: {{rootdirectory: {storage}}}\n  \
             delete: {{enabled: true}}\nhttp:\n  addr: \"{address}\"\n  secret: test\n"
        );
        if let Some((authority, pair)) = &self.authority {
            text += &format!(
                "  tls:\n    certificate: {}\n    key: {}\n",
                pair.cert.display(),
                pair.key.display()
            );
            if self.wants.clients {
                text += &format!("    clientcas: [{}]\n", authority.certificate().display());
            }
        }
        match (&self.wants.access, &self.tokens) {
            (Access::Password, _) => {
                text += &format!("auth: {{htpasswd: {{realm: test, path: {}}}}}\n", self.htpasswd());
            }
            (Access::Token, Some(tokens)) => {
                text += &format!(
                    "auth:\n  token: {{realm: \"{}\", service: \"{SERVICE}\", issuer: \"{ISSUER}\", rootcertbundle: {}}}\n",
                    tokens.realm(),
                    tokens.certificate().display()
                );
            }
            _ => {}
        }
        text + &self.wants.more
    }

    fn toml(&self) -> String {
        let address = &self.site.address;
        let directory = || format!("[storage]\npath = \"{}\"\n", self.storage().display());
        let storage = self.wants.bucket.clone().unwrap_or_else(directory);
        let mut text = format!("{storage}[http]\nlisten = \"{address}\"\n");
        if let Some((authority, pair)) = &self.authority {
            let (cert, key) = (pair.cert.display(), pair.key.display());
            text += &format!("[http.tls]\ncertificate = \"{cert}\"\nkey = \"{key}\"\n");
            if self.wants.clients {
                text += &format!("client_ca = \"{}\"\n", authority.certificate().display());
            }
        }
        match (&self.wants.access, &self.tokens) {
            (Access::Password, _) => text += &format!("[auth.htpasswd]\npath = \"{}\"\n", self.htpasswd()),
            (Access::Token, Some(tokens)) => {
                text += &format!(
                    "[auth.token]\nrealm = \"{}\"\nservice = \"{SERVICE}\"\nissuer = \"{ISSUER}\"\nkeys = [\"{}\"]\n",
                    tokens.realm(),
                    tokens.certificate().display()
                );
            }
            _ => {}
        }
        text + &self.wants.more
    }

    fn htpasswd(&self) -> String {
        let path = self.root.path().join("htpasswd");
        // A failure to write shows as the registry's own error.
        let _ = std::fs::write(&path, HTPASSWD);
        path.display().to_string()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = std::io::Write::write_all(&mut std::io::stderr(), self.log().as_bytes());
        }
        let _ = self.kill();
    }
}
