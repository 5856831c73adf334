//! What stands around an engine of the table: at the loopback interface of its host, so that all engines know them
//! by the same names, a registry with the same content and a small web server.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use anyhow::Result;
use e2e::image::{self, Image};
use e2e::lab::Namespace;
use e2e::registry::listener::{Handler, Listener, answer};
use e2e::registry::{Kind, Packing, Picture, Registry, Style, Wants};

/// A registry and a web server.
pub(super) struct Around {
    registry: Registry,
    web: Listener,
}

impl Around {
    /// Starts both on a host.
    pub(super) fn start(host: &Namespace) -> Result<Self> {
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let place = Some((host.clone(), loopback));
        let registry = Registry::with(Kind::Debian, Wants { place, ..Wants::default() })?;
        fill(&registry)?;
        let archive = image::archive(&[("content", "from afar\n")])?;
        let handler: Handler = Arc::new(move |request, stream| match request.path() {
            "/rootfs.tar" => answer(stream, 200, &[("Content-Type", "application/x-tar")], &archive),
            "/moved.tar" => answer(stream, 302, &[("Location", "/rootfs.tar")], b""),
            "/v1/_ping" => {
                answer(stream, 200, &[("Content-Type", "application/json")], b"{\"standalone\": true}")
            }
            "/v1/search" => answer(stream, 200, &[("Content-Type", "application/json")], FOUND.as_bytes()),
            _ => answer(stream, 404, &[("Content-Type", "text/plain")], b"nothing here\n"),
        });
        let web = Listener::http(Some((host, loopback)), None, Arc::default(), handler)?;
        Ok(Self { registry, web })
    }

    /// The words of the steps that stand for them, and their addresses.
    pub(super) fn names(&self) -> [(&'static str, String); 2] {
        [("%registry%", self.registry.site().address.clone()), ("%web%", self.web.address().to_string())]
    }
}

/// What a search finds.
const FOUND: &str = r#"{"num_results": 3, "query": "box", "results": [
    {"name": "official", "description": "The one and\nonly", "star_count": 3000, "is_official": true, "is_automated": false},
    {"name": "some/box", "description": "A description that is so long that it does not fit into its column by far",
     "star_count": 12, "is_official": false, "is_automated": false},
    {"name": "none/box", "description": "", "star_count": 0, "is_official": false, "is_automated": false}]}"#;

/// Puts the images of the steps into a registry.
fn fill(registry: &Registry) -> Result<()> {
    let plain = Picture::of(&Image::busybox()?, Style::Docker, &[Packing::Gzip])?;
    let mut image = Image::busybox()?;
    image.layer(|layer| layer.file("second", 0o644, b"second\n"))?;
    let image = image.config("Labels", serde_json::json!({"stage": "second"}));
    let second = Picture::of(&image, Style::Oci, &[Packing::Gzip])?;
    let other = Picture::made_for(&Image::busybox()?, "s390x", Style::Docker, &[Packing::Gzip])?;
    let several =
        Picture::index(Style::Docker, &[(image::ARCHITECTURE, plain.clone()), ("s390x", other.clone())])?;
    let alien = Picture::index(Style::Docker, &[("s390x", other)])?;
    for (repository, tag, picture) in [
        ("some/box", "1", &plain),
        ("some/box", "2", &second),
        ("several", "latest", &several),
        ("alien", "1", &alien),
    ] {
        picture.push(&registry.probe_of(repository)?, repository, tag)?;
    }
    Ok(())
}
