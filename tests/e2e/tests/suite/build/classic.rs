//! `DOCKER_BUILDKIT=0 docker build`, and docker-py.

use std::process::Command;

use anyhow::{Result, ensure};
use e2e::daemon::{Berth, IMAGE};
use e2e::programs;

use super::Context;

#[test]
fn every_plain_instruction() -> Result<()> {
    let berth = Berth::start()?;
    let dockerfile = format!(
        "ARG BASE={IMAGE}\n\
         FROM ${{BASE}} AS first\n\
         MAINTAINER somebody\n\
         ARG WHO=world\n\
         ENV GREETING=\"hello $WHO\" OTHER=x\n\
         LABEL a=b \"c d\"='e f'\n\
         WORKDIR /srv/app\n\
         WORKDIR data\n\
         COPY --chown=app:extra --chmod=640 files/one ./\n\
         COPY files/ /copied/\n\
         COPY <<EOF /heredoc\n\
         $GREETING\n\
         EOF\n\
         RUN echo \"$GREETING\" > said && test \"$(id -u)\" = 0\n\
         RUN [\"/bin/sh\", \"-c\", \"echo exec >> said\"]\n\
         RUN <<EOF\n\
         echo script >> said\n\
         EOF\n\
         USER app\n\
         RUN id -un > /tmp/who\n\
         EXPOSE 80 53/udp\n\
         VOLUME /var/data\n\
         STOPSIGNAL SIGINT\n\
         HEALTHCHECK --interval=5s CMD true\n\
         SHELL [\"/bin/sh\", \"-ec\"]\n\
         ENTRYPOINT [\"/bin/cat\"]\n\
         CMD [\"said\"]\n\
         FROM first AS unused\n\
         RUN false\n\
         FROM first\n\
         ONBUILD RUN echo triggered > /tmp/trigger\n"
    );
    let files = [("Dockerfile", dockerfile.as_str()), ("files/one", "1"), ("files/deep/two", "2")];
    let context = Context::new(&berth, "plain", &files)?;
    let said = context.build(&["-t", "plain:1", "--build-arg", "WHO=you", "--label", "l=m"])?.ok()?;
    ensure!(said.contains("Step 1/") && said.contains(" ---> Running in "), "{said}");
    ensure!(said.contains("Successfully built ") && said.contains("Successfully tagged plain:1"), "{said}");
    ensure!(berth.docker(["run", "--rm", "plain:1"])?.ok()? == "hello you\nexec\nscript");
    let shell = |script: &str| {
        berth.docker(["run", "--rm", "--entrypoint", "/bin/sh", "plain:1", "-c", script])?.ok()
    };
    ensure!(
        shell("cat /tmp/who /heredoc; stat -c '%U %G %a' one; cat /copied/deep/two; pwd")?
            == "app\nhello you\napp extra 640\n2/srv/app/data"
    );
    let show = |format: &str| berth.docker(["image", "inspect", "-f", format, "plain:1"])?.ok();
    ensure!(show("{{json .Config.Labels}}")? == r#"{"a":"b","c d":"e f","l":"m"}"#);
    ensure!(show("{{json .Config.ExposedPorts}}")? == r#"{"53/udp":{},"80/tcp":{}}"#);
    ensure!(
        show("{{.Config.User}} {{.Config.StopSignal}} {{json .Config.Volumes}}")?
            == r#"app SIGINT {"/var/data":{}}"#
    );
    ensure!(show("{{json .Config.OnBuild}}")? == r#"["RUN echo triggered > /tmp/trigger"]"#);
    ensure!(show("{{.Author}}")? == "somebody");
    let history = berth.docker(["history", "--no-trunc", "--format", "{{.CreatedBy}}", "plain:1"])?.ok()?;
    ensure!(history.contains(r#"/bin/sh -ec #(nop)  CMD ["said"]"#), "{history}");
    ensure!(history.contains("|1 WHO=you /bin/sh -c echo \"$GREETING\" > said"), "{history}");

    let child = Context::new(&berth, "child", &[("Dockerfile", "FROM plain:1\nUSER root\n")])?;
    child.build(&["-t", "child"])?.ok()?;
    let run = ["run", "--rm", "--entrypoint", "cat", "child", "/tmp/trigger"];
    ensure!(berth.docker(run)?.ok()? == "triggered");
    ensure!(berth.docker(["image", "inspect", "-f", "{{json .Config.OnBuild}}", "child"])?.ok()? == "null");
    berth.finish()
}

#[test]
fn what_was_built_is_not_built_again() -> Result<()> {
    let mut berth = Berth::start()?;
    let dockerfile = format!(
        "FROM {IMAGE}\nRUN cat /proc/sys/kernel/random/uuid > /first\nCOPY a /a\nRUN cat /proc/sys/kernel/random/uuid > /second\n"
    );
    let files = [("Dockerfile", dockerfile.as_str()), ("a", "one")];
    let build = |berth: &Berth, text: &str, more: &[&str]| -> Result<(String, String, String)> {
        let context = Context::new(berth, "cached", &files)?;
        std::fs::write(context.path().join("a"), text)?;
        let said = context.build(&[&["-t", "cached"], more].concat())?.ok()?;
        let id = berth.docker(["image", "inspect", "-f", "{{.Id}}", "cached"])?.ok()?;
        let files = berth.docker(["run", "--rm", "cached", "cat", "/first", "/second"])?.ok()?;
        Ok((said, id, files))
    };
    let (said, id, contents) = build(&berth, "one", &[])?;
    ensure!(!said.contains("Using cache"), "{said}");
    let (said, again, same) = build(&berth, "one", &[])?;
    ensure!(said.matches("Using cache").count() == 3, "{said}");
    ensure!((again, same) == (id.clone(), contents.clone()));
    let (said, other, changed) = build(&berth, "two", &[])?;
    ensure!(said.matches("Using cache").count() == 1, "{said}");
    ensure!(other != id && changed.lines().next() == contents.lines().next() && changed != contents);
    // what is no longer an image's is the cache's all the same, also for the next daemon
    berth.docker(["rmi", "cached"])?.ok()?;
    berth.kill()?;
    berth.spawn()?;
    let (said, again, same) = build(&berth, "one", &[])?;
    ensure!(said.matches("Using cache").count() == 3, "{said}");
    ensure!((again, same) == (id, contents.clone()));
    let (said, _, changed) = build(&berth, "one", &["--no-cache"])?;
    ensure!(!said.contains("Using cache") && changed != contents, "{said}");
    berth.finish()
}

#[test]
fn what_goes_wrong_is_told_and_leaves_nothing() -> Result<()> {
    let berth = Berth::start()?;
    let fails = |name: &str, dockerfile: &str, words: &str| -> Result<()> {
        let dockerfile = dockerfile.replace("IMAGE", IMAGE);
        let context = Context::new(&berth, name, &[("Dockerfile", &dockerfile), ("a", "")])?;
        let ran = context.build(&["-t", "never"])?;
        ensure!(ran.code != 0, "{dockerfile}: built");
        ensure!(ran.stderr.contains(words) || ran.stdout.contains(words), "{dockerfile}: {}", ran.stderr);
        Ok(())
    };
    fails("exit", "FROM IMAGE\nRUN exit 7", "The command '/bin/sh -c exit 7' returned a non-zero code: 7")?;
    fails("missing", "FROM IMAGE\nCOPY nothing /", "COPY failed: file not found in build context")?;
    fails("unknown", "FROM IMAGE\nRUNN x", "unknown instruction: RUNN")?;
    fails("user", "FROM IMAGE\nUSER nosuch\nRUN true", "unable to find user nosuch")?;
    fails("program", "FROM IMAGE\nRUN [\"/nothing\"]", "/nothing")?;
    fails("number", "FROM IMAGE\nCOPY --from=3 /a /", "invalid from flag value 3: index out of bounds")?;
    berth.docker(["image", "inspect", "never"])?.fails(1, "No such image")?;
    ensure!(berth.docker(["ps", "-aq"])?.ok()?.is_empty());
    berth.finish()
}

#[test]
fn stages_from_scratch_and_quiet() -> Result<()> {
    let berth = Berth::start()?;
    let dockerfile = format!(
        "FROM {IMAGE} AS make\nRUN mkdir /out && echo made > /out/it && ln -s it /out/link && chmod 4711 /out/it\n\
         FROM scratch\nCOPY --from=make /out/ /\nCOPY --from={IMAGE} /bin/busybox /busybox\nCMD [\"/busybox\", \"cat\", \"/link\"]\n"
    );
    let context = Context::new(&berth, "stages", &[("Dockerfile", &dockerfile)])?;
    let id = context.build(&["-q", "-t", "stages"])?.ok()?;
    ensure!(berth.docker(["image", "inspect", "-f", "{{.Id}}", "stages"])?.ok()? == id);
    ensure!(berth.docker(["run", "--rm", "stages"])?.ok()? == "made");
    ensure!(berth.docker(["run", "--rm", "stages", "/busybox", "stat", "-c", "%a", "/it"])?.ok()? == "4711");
    let id = context.build(&["-q", "--target", "make"])?.ok()?;
    ensure!(berth.docker(["run", "--rm", &id, "cat", "/out/it"])?.ok()? == "made");
    berth.finish()
}

#[test]
fn a_dockerfile_outside_of_the_context() -> Result<()> {
    let berth = Berth::start()?;
    let context = Context::new(&berth, "outside", &[("one", "1"), (".dockerignore", "two\n"), ("two", "2")])?;
    let dockerfile = berth.root().join("elsewhere");
    std::fs::write(&dockerfile, format!("FROM {IMAGE}\nCOPY . /files/\n"))?;
    context.build(&["-t", "outside", "-f", &dockerfile.to_string_lossy()])?.ok()?;
    let said = berth.docker(["run", "--rm", "outside", "sh", "-c", "cd files && ls && cat one"])?.ok()?;
    ensure!(said == "one\n1", "{said}");
    berth.finish()
}

const SDK: &str = r#"
import io, sys, docker
client = docker.DockerClient(base_url=sys.argv[1], timeout=120)
image, log = client.images.build(path=sys.argv[2], tag="py:1", buildargs={"A": "b"}, rm=True)
assert "py:1" in image.tags, image.tags
text = "".join(line.get("stream", "") for line in log)
assert "Successfully built" in text, text
assert client.containers.run("py:1", remove=True) == b"b\n"
try:
    client.images.build(fileobj=io.BytesIO(b"FROM py:1\nRUN exit 3"))
    raise SystemExit("it was built")
except docker.errors.BuildError as error:
    assert "returned a non-zero code: 3" in str(error), error
print("built")
"#;

#[test]
fn the_python_sdk_builds() -> Result<()> {
    let berth = Berth::start()?;
    let dockerfile = format!("FROM {IMAGE}\nARG A\nRUN echo $A > /a\nCMD [\"cat\", \"/a\"]\n");
    let context = Context::new(&berth, "sdk", &[("Dockerfile", &dockerfile)])?;
    let mut python = Command::new(programs::python()?);
    python.args(["-c", SDK, &berth.host()]).arg(context.path());
    let said = programs::run(&mut python)?.ok()?;
    ensure!(said.ends_with("built"), "{said}");
    berth.finish()
}
