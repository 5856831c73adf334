//! Testcontainers for Python starts Redis, from an image made of Debian's package on this machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use e2e::Berth;
use e2e::image::{Image, Layer};
use e2e::programs;
use serde_json::json;

const SERVER: &str = "/usr/bin/redis-server";
const IMAGE: &str = "berth-test/redis:7";

const SCRIPT: &str = r#"
import sys
from testcontainers.redis import RedisContainer
from testcontainers.core.container import DockerContainer
from testcontainers.core.waiting_utils import wait_for_logs

with RedisContainer(sys.argv[1]) as redis:
    client = redis.get_client(decode_responses=True)
    assert client.ping()
    client.set("kept", "here")
    assert client.get("kept") == "here"
    assert client.info("server")["redis_version"].startswith("7."), client.info("server")
    code, output = redis.exec(["redis-server", "--version"])
    assert code == 0 and b"Redis server" in output, (code, output)
    assert b"Ready to accept connections" in redis.get_logs()[0]
    inside = redis.get_wrapped_container()
    inside.reload()
    assert inside.status == "running"
with DockerContainer(sys.argv[1]).with_command("redis-server --port 7000 --protected-mode no").with_exposed_ports(7000).with_env("A", "b") as other:
    wait_for_logs(other, "Ready to accept connections", timeout=30)
    import redis
    client = redis.Redis(host=other.get_container_host_ip(), port=int(other.get_exposed_port(7000)))
    assert client.ping()
print("testcontainers-ok")
"#;

/// Redis with the libraries that its program header and `ldd` name, at the paths where they lie here.
fn image() -> Result<Image> {
    let libraries = programs::run(Command::new("/usr/bin/ldd").arg(SERVER))?.ok()?;
    let paths =
        libraries.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
    let files: Vec<PathBuf> = paths.map(PathBuf::from).collect();
    ensure!(files.len() > 3, "{SERVER} needs libraries: {libraries}");
    let mut image = Image::scratch()
        // As the image of that name does; else Redis serves its own loopback only.
        .config("Cmd", json!(["redis-server", "--protected-mode", "no"]))
        .config("ExposedPorts", json!({ "6379/tcp": {} }));
    image.layer(|layer| {
        layer.dir("tmp/", 0o1777)?;
        copy(layer, Path::new(SERVER), "usr/bin/redis-server")?;
        for file in &files {
            copy(layer, file, file.strip_prefix("/")?.to_str().context("a name that is not UTF-8")?)?;
        }
        Ok(())
    })?;
    Ok(image)
}

fn copy(layer: &mut Layer, from: &Path, to: &str) -> Result<()> {
    let bytes = std::fs::read(from)
        .with_context(|| format!("cannot read {}: apt-get install redis-server", from.display()))?;
    layer.file(to, 0o755, &bytes)
}

#[test]
fn redis_is_started_used_and_removed() -> Result<()> {
    let berth = Berth::bare(&[])?;
    berth.load(&image()?, IMAGE)?;
    let mut python = Command::new(programs::python()?);
    python.args(["-c", SCRIPT, IMAGE]).env("DOCKER_HOST", berth.host());
    // Ryuk, which removes what a killed test leaves, comes from a registry.
    python.env("TESTCONTAINERS_RYUK_DISABLED", "true").env("HOME", berth.root());
    if e2e::user::number().is_some() {
        // in a container (which it may take this machine for) it would look at the bridge's gateway
        python.env("TESTCONTAINERS_HOST_OVERRIDE", "127.0.0.1");
    }
    let said = programs::run(&mut python)?.ok()?;
    ensure!(said.ends_with("testcontainers-ok"), "{said}");
    ensure!(berth.berth(["ps", "-aq"])?.ok()?.is_empty(), "containers are left");
    ensure!(berth.berth(["volume", "ls", "-q"])?.ok()?.is_empty(), "volumes are left");
    berth.finish()
}
