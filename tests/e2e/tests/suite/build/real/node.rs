//! An application for Node.js, with packages from npm.

use anyhow::{Result, ensure};

use super::{APT, context, daemon, finished, over};

#[test]
fn npm_installs_again_without_a_network() -> Result<()> {
    let berth = daemon()?;
    let dockerfile = |options: &str, flag: &str| {
        format!(
            "FROM debian-base AS node\n{APT} nodejs npm\n\
             FROM node\nWORKDIR /app\nENV NODE_EXTRA_CA_CERTS=/ca.crt\n\
             COPY package.json .\n\
             RUN --mount=type=bind,source=ca.crt,target=/ca.crt --mount=type=cache,target=/root/.npm {options} npm install --no-audit --no-fund {flag}\n\
             COPY app.js .\nCMD [\"node\", \"app.js\"]\n"
        )
    };
    let package = r#"{"name": "app", "version": "1.0.0", "dependencies": {"ms": "2.1.3"}}"#;
    let app = "console.log(require('ms')('2 days'))\n";
    let first = dockerfile("", "");
    let files = [("Dockerfile", first.as_str()), ("app.js", app), ("package.json", package)];
    let context = context(&berth, "node", &files)?;
    finished(&mut context.own_command(&["-t", "app"])?)?;
    // what npm has fetched is in its cache, and nowhere else
    std::fs::write(context.path().join("Dockerfile"), dockerfile("--network=none", "--offline"))?;
    finished(&mut context.buildkit_command(&["-t", "again"])?)?;
    for image in ["app", "again"] {
        let said = berth.docker(["run", "--rm", "--network", "none", image])?.ok()?;
        ensure!(said.trim() == "172800000", "{image}: {said}");
        berth.docker(["run", "--rm", image, "sh", "-c", "! ls -d /root/.npm /ca.crt"])?.ok()?;
    }
    over(berth)
}
