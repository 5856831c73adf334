//! What the guest says of itself after it has come up again.

use std::collections::BTreeSet;

use anyhow::{Result, bail, ensure};

use super::worker::Worker;
use crate::run;
use crate::vm::session::Session;

/// All that workers make, a line each; as `Model::lines` has it.
const OBSERVE: &str = "\
berth ps -a --format 'C {{.Names}} {{.State}}'
for volume in $(berth volume ls -q); do
  echo V $volume $(tr '\\n' , < /var/lib/berth/volumes/$volume/_data/log 2>/dev/null | sed 's/,$//')
done
berth network ls --format 'N {{.Name}}'
for image in $(berth images --format '{{.Repository}}:{{.Tag}}'); do
  case $image in
    w*-b*) echo I $image $(berth run --rm $image cat /text);;
    *) echo I $image;;
  esac
done";

/// Milliseconds from the start of berthd's program to its first answer, as systemd has measured it.
const START: &str = "\
begun=$(systemctl show -p ExecMainStartTimestampMonotonic --value berth)
up=$(systemctl show -p ActiveEnterTimestampMonotonic --value berth)
echo $(((up - begun) / 1000))";

/// A piece of work, and what it takes of the processor here, and of the clock in the guest: how much slower than this
/// machine the guest is just now, by its emulated processor and by what else this machine does.
const WORK: &str = "head -c 16777216 /dev/zero | /bin/busybox sha256sum > /dev/null";

/// Milliseconds of processor time that [`WORK`] takes on this machine.
pub(super) fn usual() -> Result<u64> {
    let script = format!("TIMEFORMAT='%U %S'; {{ time {{ {WORK}; }}; }} 2>&1");
    let times = run::output(std::process::Command::new("bash").args(["-c", &script]))?;
    let seconds: f64 = times.split_whitespace().filter_map(|time| time.parse::<f64>().ok()).sum();
    Ok(((seconds * 1000.0) as u64).max(1))
}

/// Milliseconds that it takes in the guest.
fn now(session: &mut Session) -> Result<u64> {
    let script = format!("begun=$(date +%s%N); {WORK}; echo $((($(date +%s%N) - begun) / 1000000))");
    Ok(session.must(&script)?.parse::<u64>()?.max(1))
}

/// What nothing accounts for: one line each. The build cache is given up first, for it may keep layers.
const ORPHANS: &str = "\
berth builder prune -af > /dev/null
cd /var/lib/berth
grep -E ' /(var/lib|run)/berth/' /proc/self/mountinfo | sed 's/^/mount /'
ids=$(berth ps -aq --no-trunc)
up=$(berth ps -q --no-trunc)
for id in $(ls containers store/snapshots | grep -E '^[0-9a-f]{64}$'); do
  case \"$ids\" in *$id*) ;; *) echo directory of a container $id;; esac
done
for id in $(ls /sys/fs/cgroup/berth 2>/dev/null | grep -E '^[0-9a-f]{64}$'); do
  case \"$up\" in *$id*) ;; *) echo cgroup $id;; esac
done
for key in $(ls store/layers); do grep -qr $key store/chains || echo layer $key; done
for blob in $(ls store/blobs/sha256); do
  [ -e store/images/$blob.json ] || grep -qr $blob store/images || echo blob $blob
done
tries=0
trash() { find store/trash store/tmp -mindepth 1 -maxdepth 1; }
while [ -n \"$(trash)\" ] && [ $tries -lt 100 ]; do sleep 0.2; tries=$((tries + 1)); done
trash | sed 's/^/trash /'
ls -A volumes | grep -E '^\\.(new|gone)' | sed 's/^/half a volume /'
bridges=$(ip -o link show type bridge | wc -l)
networks=$(berth network ls -q -f driver=bridge | wc -l)
[ $bridges -le $networks ] || echo \"$bridges bridges of $networks networks\"
veths=$(ip -o link show type veth | wc -l)
running=$(berth ps -q | wc -l)
[ $veths = $running ] || echo \"$veths veths of $running containers\"
for address in $(nft list ruleset | grep -oE '172\\.[0-9]+\\.[0-9]+\\.[0-9]+' | grep -vE '\\.0$|\\.1$' | sort -u); do
  berth inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}' $up | grep -qwF $address || echo rule of $address
done
dmesg | grep -E 'EXT4-fs (error|warning)|JBD2.*(error|corrupt)'
true";

/// Waits until what must run does, and compares everything; gives the milliseconds of berthd's start, and how many times
/// slower than this machine the guest was.
pub(super) fn check(session: &mut Session, workers: &mut [Worker]) -> Result<(u64, u64)> {
    session.must("until [ \"$(systemctl is-active berth)\" = active ]; do sleep 0.1; done")?;
    let start = session.must(START)?.parse()?;
    let slower = (now(session)? / usual()?).max(1);
    // Restart policies are at work beside the first requests.
    let mut seen = BTreeSet::new();
    for _attempt in 0..20 {
        seen = session.must(OBSERVE)?.lines().map(|line| line.trim().to_owned()).collect();
        if workers.iter().all(|worker| agrees(worker, &seen).is_some()) {
            break;
        }
    }
    for worker in workers.iter_mut() {
        let Some(found) = agrees(worker, &seen) else {
            let told: Vec<_> = worker.outcomes().iter().map(super::Model::lines).collect();
            let mine = own(worker, &seen);
            let logs = session.ask("journalctl -u berth -b --no-pager | tail -60")?.text;
            bail!(
                "{}: found {mine:#?}\nwhere there must be one of {told:#?}\nafter {:?}, acknowledged before it: {:#?}\n{logs}",
                worker.name(),
                worker.pending,
                worker.since
            );
        };
        worker.resume(found);
    }
    let orphans = session.must(ORPHANS)?;
    ensure!(orphans.is_empty(), "left behind:\n{orphans}");
    Ok((start, slower))
}

/// The one of a worker's outcomes that is found.
fn agrees(worker: &Worker, seen: &BTreeSet<String>) -> Option<super::Model> {
    let mine = own(worker, seen);
    worker.outcomes().into_iter().find(|outcome| outcome.agrees(&mine))
}

/// The lines about what a worker has made.
fn own(worker: &Worker, seen: &BTreeSet<String>) -> BTreeSet<String> {
    let names = [format!(" {}-", worker.name()), format!("/{}:", worker.name())];
    seen.iter().filter(|line| names.iter().any(|name| line.contains(name.as_str()))).cloned().collect()
}

/// Removes all there is, and looks for bytes that are left.
pub(super) fn nothing_is_left(session: &mut Session) -> Result<()> {
    session.must(
        "berth rm -f $(berth ps -aq) > /dev/null; berth system prune -af --volumes > /dev/null && \
         berth volume prune -af > /dev/null && berth image prune -af > /dev/null",
    )?;
    let left = session.must(
        "cd /var/lib/berth; for folder in containers volumes store/layers store/images store/chains store/snapshots \
         store/blobs/sha256 store/cache-mounts; do ls -A $folder 2>/dev/null | sed \"s|^|$folder/|\"; done; \
         ls /sys/fs/cgroup/berth 2>/dev/null | grep -E '^[0-9a-f]{64}$'; ip -o link show type veth",
    )?;
    ensure!(left.is_empty(), "left when all is removed:\n{left}");
    session.must(ORPHANS).and_then(|orphans| {
        ensure!(orphans.is_empty(), "left behind:\n{orphans}");
        Ok(())
    })
}
