//! How registries are reached: the daemon lives on a host of its own, and the registries on another, so that none of
//! them counts as insecure because of its address.

mod foreign;
mod hosts;
mod proxies;
mod tls;

use std::net::IpAddr;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use e2e::image::Image;
use e2e::lab::{Namespace, Site};
use e2e::registry::tls::{Authority, Pair, serving};
use e2e::registry::{Access, Faulty, Kind, Packing, Picture, Registry, Style, Wants, noise};
use e2e::{Berth, Ran};
use tempfile::TempDir;

/// Two hosts, and the daemon's folder of what it knows of registries.
struct Net {
    site: Site,
    certs: TempDir,
}

/// A small image with a layer of its own for each of these seeds.
fn picture(seeds: &[u64]) -> Result<Picture> {
    let mut image = Image::scratch();
    for seed in seeds {
        image.layer(|layer| layer.file(&format!("noise{seed}"), 0o644, &noise(*seed, 20_000)))?;
    }
    Picture::of(&image, Style::Docker, &[Packing::Gzip])
}

impl Net {
    fn new() -> Result<Self> {
        Ok(Self { site: Site::new()?, certs: tempfile::tempdir()? })
    }

    /// Where servers live.
    fn outside(&self) -> Result<(&Namespace, IpAddr)> {
        Ok((&self.site.outside, Site::OUTSIDE.parse()?))
    }

    /// A daemon on the host, with variables and options.
    fn daemon(&self, variables: &[(&str, &str)], options: &[&str]) -> Result<Berth> {
        let certs = self.certs.path().to_str().context("path")?;
        // What the machine says of proxies is not for this host.
        let none = ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"];
        let mut all: Vec<_> = none.map(|name| (name, "")).to_vec();
        all.push(("BERTH_CERTS_D", certs));
        all.extend(variables);
        Berth::inside_with(&self.site.host, &all, options)
    }

    /// A server that counts, over TLS with a certificate, or in clear.
    fn serve(&self, picture: &Picture, pair: Option<&Pair>) -> Result<Faulty> {
        Faulty::at(picture, Some(self.outside()?), pair.map(serving).transpose()?)
    }

    /// A registry over TLS.
    fn registry(&self, kind: Kind, access: Access, clients: bool) -> Result<Registry> {
        let (netns, ip) = self.outside()?;
        let place = Some((netns.clone(), ip));
        Registry::with(kind, Wants { access, tls: true, clients, place, ..Wants::default() })
    }

    /// Where the daemon looks for what it should know of a registry.
    fn folder(&self, address: &str) -> Result<std::path::PathBuf> {
        let folder = self.certs.path().join(address);
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// The daemon trusts an authority about a registry.
    fn trust(&self, address: &str, authority: &Authority) -> Result<()> {
        authority.folder(&self.folder(address)?, None).map(drop)
    }

    /// The daemon knows no certificate of a registry any more.
    fn forget(&self, address: &str) -> Result<()> {
        Ok(std::fs::remove_dir_all(self.folder(address)?)?)
    }

    /// `hosts.toml` of a registry.
    fn hosts(&self, address: &str, text: &str) -> Result<()> {
        Ok(std::fs::write(self.folder(address)?.join("hosts.toml"), text)?)
    }

    fn finish(self, berth: Berth) -> Result<()> {
        berth.finish()?;
        self.site.is_as_before()
    }
}

/// The address that certificates are for.
fn named(ip: &str) -> String {
    format!("IP:{ip}")
}

/// Pulls, and removes what has come.
fn pulls(berth: &Berth, name: &str, picture: &Picture) -> Result<()> {
    berth.berth(["pull", "-q", name])?.ok()?;
    let id = berth.berth(["image", "inspect", "-f", "{{.Id}}", name])?.ok()?;
    ensure!(id == picture.id()?, "{name} is {id}");
    berth.berth(["rmi", name])?.ok().map(drop)
}

fn pull(berth: &Berth, name: &str) -> Result<Ran> {
    berth.berth(["pull", "-q", name])
}

/// Copies the files of a folder into another.
fn copy(from: &Path, to: &Path) -> Result<()> {
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        std::fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}
