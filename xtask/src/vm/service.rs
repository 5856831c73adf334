//! berthd as the guest's service, under systemd and through a restart of the machine.

use anyhow::{Result, ensure};

use super::guest::Guest;
use super::{run, work};

/// The service as it is packaged.
const UNIT: &str = include_str!("../../../packaging/systemd/berth.service");

/// What is said on the published port, as soon as its container's program listens.
const GREETING: &str = "timeout 300 bash -c \
    'until (exec 3<>/dev/tcp/127.0.0.1/8080 && head -c 5 <&3 | grep hello) 2> /dev/null; do sleep 0.2; done'";

/// Installs and starts a service of this name.
pub(super) fn add(guest: &Guest, name: &str, unit: &str) -> Result<()> {
    guest.run(&format!(
        "cat > /etc/systemd/system/{name}.service <<'END'\n{unit}END\nsystemctl enable --quiet --now {name}"
    ))
}

/// Installs and starts the service, with an image made of the guest's busybox.
pub(super) fn install(guest: &Guest, options: &str) -> Result<()> {
    let unit = UNIT.replace("/usr/local/bin/berthd", &format!("{}/berthd {options}", work::programs()));
    ensure!(unit != UNIT, "the packaged unit starts another program");
    add(guest, "berth", &unit)?;
    guest.run(
        "mkdir -p /image/bin /image/tmp && cp /bin/busybox /image/bin && \
         for name in sh sleep true cat head sync nc echo test md5sum; do ln -sf busybox /image/bin/$name; done && \
         tar -C /image -c . | berth import - box > /image/id",
    )
}

/// Installs and starts a registry at an address of the guest's, whose storage is on the disk as well.
pub(super) fn install_registry(guest: &Guest, address: &str) -> Result<()> {
    let unit = "[Service]\nExecStart=PROGRAMS/berth registry serve --config /etc/registry.toml\n\n\
                [Install]\nWantedBy=multi-user.target\n"
        .replace("PROGRAMS", &work::programs());
    guest.run(&format!(
        "printf '[storage]\\npath = \"/var/lib/registry\"\\n[http]\\nlisten = \"{address}:5000\"\\n' > /etc/registry.toml"
    ))?;
    add(guest, "registry", &unit)
}

/// A container's restart policy holds through an orderly restart of the machine, with limits made by systemd.
pub(super) fn comes_up_again(guest: &Guest) -> Result<()> {
    run::step("the service, and a restart of the machine");
    install(guest, "--exec-opt native.cgroupdriver=systemd")?;
    guest.run(
        "berth volume create kept && \
         berth run -d --name stays --restart always -m 64m -v kept:/kept box sh -c 'echo begun >> /kept/log; exec sleep 1000000' && \
         berth run -d --name heeds --restart unless-stopped --stop-signal USR1 -v kept:/kept box \
           sh -c 'trap \"echo asked >> /kept/heeds; exit 0\" USR1; echo begun >> /kept/heeds; while :; do sleep 0.2; done' && \
         berth run -d --name goes box sleep 1000000 && \
         berth run -d --name serves --restart unless-stopped -p 8080:80 box nc -ll -p 80 -e echo hello",
    )?;
    ensure!(guest.ask(GREETING)? == "hello");
    // a profile that somebody has removed comes back with the next container
    guest.run("echo 'profile docker-default {}' | apparmor_parser --remove")?;
    ensure!(guest.ask("berth run --rm box cat /proc/self/attr/current")? == "docker-default (enforce)");
    // the container's own group in its scope
    let limit = "cat /sys/fs/cgroup/system.slice/berth-$(berth inspect -f '{{.Id}}' stays).scope/container/memory.max";
    ensure!(guest.ask(limit)? == "67108864");
    // `stays` and `goes` heed no signal, and must not hold the machine up
    let begun = std::time::Instant::now();
    guest.reboot()?;
    run::say(&format!("restarted in {:?}\n", begun.elapsed()));
    let states = guest.ask_again(
        "timeout 300 sh -c 'until berth version > /dev/null 2>&1; do sleep 0.2; done; \
        until [ \"$(berth ps -q --filter status=running | wc -l)\" = 3 ]; do sleep 0.2; done; \
        until [ \"$(cat /var/lib/berth/volumes/kept/_data/* | wc -l)\" = 5 ]; do sleep 0.2; done'; \
        berth ps -a --format '{{.Names}} {{.State}}' | sort; berth run --rm -v kept:/kept box cat /kept/log /kept/heeds",
    )?;
    ensure!(
        states
            == "goes exited\nheeds running\nserves running\nstays running\nbegun\nbegun\nbegun\nasked\nbegun",
        "after the restart: {states:?}"
    );
    ensure!(guest.ask(limit)? == "67108864");
    ensure!(guest.ask(GREETING)? == "hello");
    guest.run(
        "berth rm -f stays goes heeds serves > /dev/null && berth volume rm kept > /dev/null && systemctl stop berth",
    )
}
