//! This project's own shim, compiled in a container by the toolchain of the machine.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use e2e::programs;

use super::{APT, context, daemon, finished, over};

/// What compiling needs of the toolchain, by the names below its root.
const TOOLCHAIN: [&str; 5] = [
    "bin",
    "lib",
    "lib/rustlib/x86_64-unknown-linux-gnu/lib",
    "lib/rustlib/x86_64-unknown-linux-gnu/bin",
    "lib/rustlib/x86_64-unknown-linux-gnu/bin/gcc-ld",
];

/// The toolchain without documentation, sources and components that don't compile: hard links if that can be.
fn toolchain(at: &Path) -> Result<()> {
    let root = programs::run(Command::new("rustc").args(["--print", "sysroot"]))?.ok()?;
    let root = PathBuf::from(root.trim());
    for part in TOOLCHAIN {
        std::fs::create_dir_all(at.join(part))?;
        for entry in std::fs::read_dir(root.join(part)).with_context(|| root.display().to_string())? {
            let entry = entry?;
            let name = entry.file_name();
            let is_wanted = part != "bin" || name == "rustc" || name == "cargo";
            if entry.file_type()?.is_file() && is_wanted {
                let to = at.join(part).join(&name);
                std::fs::hard_link(entry.path(), &to)
                    .or_else(|_| std::fs::copy(entry.path(), &to).map(drop))?;
            }
        }
    }
    Ok(())
}

#[test]
fn the_shim_compiles_in_a_container_and_starts_from_scratch() -> Result<()> {
    if Command::new("rustc").arg("--version").output().is_err() {
        // a guest of `cargo xtask vm` gets programs that are compiled
        let _ = writeln!(std::io::stderr(), "NOT RUN: this machine has no toolchain to compile with");
        return Ok(());
    }
    let berth = daemon()?;
    let dockerfile = |options: &str| {
        format!(
            "FROM debian-base AS compiler\n{APT} gcc libc6-dev\n\
             FROM compiler AS made\n\
             ENV PATH=/rust/bin:/usr/bin:/bin CARGO_HOME=/cargo CARGO_TARGET_DIR=/made CARGO_HTTP_CAINFO=/ca.crt CARGO_PROFILE_DEV_DEBUG=false\n\
             WORKDIR /src\nCOPY Cargo.toml Cargo.lock ./\nCOPY cargo-config.toml .cargo/config.toml\n\
             RUN --mount=type=bind,source=ca.crt,target=/ca.crt \\\n\
             --mount=type=bind,from=rust,target=/rust --mount=type=bind,from=crates,target=crates \\\n\
             --mount=type=bind,from=tests,target=tests --mount=type=bind,from=xtask,target=xtask \\\n\
             --mount=type=cache,target=/cargo --mount=type=cache,target=/made {options} \\\n\
             cargo build --locked -p shim --bin berth-shim --config 'profile.dev.package.\"*\".opt-level=0' && \\\n\
             cp /made/*/debug/berth-shim /berth-shim\n\
             FROM scratch\nCOPY --from=made /berth-shim /\nENTRYPOINT [\"/berth-shim\"]\n"
        )
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let context = context(&berth, "shim", &[("Dockerfile", &dockerfile(""))])?;
    for (name, file) in [
        ("Cargo.toml", "Cargo.toml"),
        ("Cargo.lock", "Cargo.lock"),
        ("cargo-config.toml", ".cargo/config.toml"),
    ] {
        std::fs::copy(root.join(file), context.path().join(name))?;
    }
    let rust = berth.root().join("contexts/rust");
    toolchain(&rust)?;
    let named = [
        format!("rust={}", rust.display()),
        format!("crates={}", root.join("crates").display()),
        format!("tests={}", root.join("tests").display()),
        format!("xtask={}", root.join("xtask").display()),
    ];
    let mut flags = vec!["--progress", "plain", "-t", "shim"];
    flags.extend(named.iter().flat_map(|context| ["--build-context", context]));
    let first = finished(&mut context.own_command(&flags)?)?;
    ensure!(first.contains("Downloaded rustix") && first.contains("Compiling shim"), "{first}");
    let says = berth.docker(["run", "--rm", "--network", "none", "shim"])?;
    says.fails(1, "berth-shim: usage: berth-shim STATE-DIRECTORY CONTAINER-ID")?;
    // with what the first has left in its caches, nothing is fetched and nothing compiled
    std::fs::write(context.path().join("Dockerfile"), dockerfile("--network=none"))?;
    let second = finished(&mut context.own_command(&flags)?)?;
    ensure!(second.contains("Finished") && !second.contains("Compiling"), "{second}");
    let layers = "{{len .RootFS.Layers}}";
    let layers = berth.docker(["image", "inspect", "--format", layers, "shim"])?.ok()?;
    ensure!(layers.trim() == "1", "{layers}");
    over(berth)
}
