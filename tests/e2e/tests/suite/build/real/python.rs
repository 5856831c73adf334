//! An application in Python, with packages from PyPI.

use anyhow::{Result, ensure};

use super::{APT, context, daemon, finished, over};

#[test]
fn pip_installs_again_without_a_network() -> Result<()> {
    let berth = daemon()?;
    let dockerfile = |options: &str, fetch: &str| {
        format!(
            "FROM debian-base AS python\n{APT} python3-pip\n\
             FROM python\nWORKDIR /app\nENV PIP_CERT=/ca.crt PIP_BREAK_SYSTEM_PACKAGES=1 PIP_ROOT_USER_ACTION=ignore\n\
             COPY requirements.txt .\n\
             RUN --mount=type=bind,source=ca.crt,target=/ca.crt --mount=type=cache,target=/wheels {options} \
             {fetch}pip install --no-index --find-links=/wheels -r requirements.txt\n\
             COPY app.py .\nUSER nobody\nENTRYPOINT [\"python3\", \"app.py\"]\n"
        )
    };
    let app = "import itsdangerous\nprint(itsdangerous.Signer('key').sign('word').decode())\n";
    let first = dockerfile("", "pip download -d /wheels -r requirements.txt && ");
    let files =
        [("Dockerfile", first.as_str()), ("app.py", app), ("requirements.txt", "itsdangerous==2.2.0\n")];
    let context = context(&berth, "python", &files)?;
    finished(&mut context.buildkit_command(&["-t", "app"])?)?;
    // what pip has fetched is in the cache, and nowhere else
    std::fs::write(context.path().join("Dockerfile"), dockerfile("--network=none", ""))?;
    let said = finished(&mut context.own_command(&["--progress", "plain", "-t", "again"])?)?;
    ensure!(said.contains("Processing /wheels/itsdangerous-2.2.0"), "{said}");
    for image in ["app", "again"] {
        let signed = berth.docker(["run", "--rm", "--network", "none", image])?.ok()?;
        ensure!(signed.starts_with("word."), "{image}: {signed}");
        let left = "! ls -d /wheels /ca.crt && [ -z \"$(ls /var/lib/apt/lists)\" ]";
        let run = ["run", "--rm", "--entrypoint", "sh", image, "-c", left];
        berth.docker(run)?.ok()?;
    }
    over(berth)
}
