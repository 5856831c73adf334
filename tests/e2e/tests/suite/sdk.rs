//! Docker's Python SDK, unchanged.

use std::process::Command;

use anyhow::{Result, ensure};
use e2e::daemon::{Berth, IMAGE};
use e2e::programs;

const SCRIPT: &str = r#"
import sys, docker
client = docker.DockerClient(base_url=sys.argv[1], timeout=60)
image = sys.argv[2]
assert client.ping()
assert client.containers.run(image, ["echo", "hello"], remove=True) == b"hello\n"
try:
    client.containers.run(image, ["sh", "-c", "echo no >&2; exit 3"], remove=True)
    raise SystemExit("exit code 3 was not reported")
except docker.errors.ContainerError as error:
    assert error.exit_status == 3 and b"no" in error.stderr, error
box = client.containers.run(image, ["sh", "-c", "for n in 1 2 3; do echo line $n; done; sleep 1000"],
                            detach=True, name="sdk", labels={"by": "sdk"}, environment={"A": "b"}, mem_limit="64m")
assert [c.id for c in client.containers.list(filters={"label": "by=sdk"})] == [box.id]
code, out = box.exec_run(["sh", "-c", "echo $A"])
assert (code, out) == (0, b"b\n"), (code, out)
code, out = box.exec_run("false")
assert code == 1
stdout, stderr = box.exec_run(["sh", "-c", "echo o; echo e >&2"], demux=True).output
assert (stdout, stderr) == (b"o\n", b"e\n")
lines = []
for chunk in box.logs(stream=True, follow=True):
    lines.append(chunk)
    if b"".join(lines).count(b"\n") == 3:
        break
assert b"".join(lines) == b"line 1\nline 2\nline 3\n", lines
box.reload()
assert box.status == "running" and box.attrs["HostConfig"]["Memory"] == 64 << 20
assert box.top()["Processes"]
box.pause(); box.reload(); assert box.status == "paused"
box.unpause()
box.stop(timeout=0)
assert box.wait()["StatusCode"] == 137
box.remove()
assert client.containers.list(all=True) == []
assert image in [tag for i in client.images.list() for tag in i.tags]
saved = b"".join(client.images.get(image).save(named=True))
assert client.images.load(saved)[0].id == client.images.get(image).id
try:
    client.containers.get("nothing")
    raise SystemExit("an absent container was found")
except docker.errors.NotFound:
    pass
print("sdk-ok")
"#;

#[test]
fn the_python_sdk_runs_execs_streams_lists_and_removes() -> Result<()> {
    let berth = Berth::start()?;
    let mut python = Command::new(programs::python()?);
    python.args(["-c", SCRIPT, &berth.host(), IMAGE]);
    let said = programs::run(&mut python)?.ok()?;
    ensure!(said.ends_with("sdk-ok"), "{said}");
    berth.finish()
}
