//! Many starts and stops, and many at once: nothing is left, nothing is given twice, nothing fails.
//!
//! `BERTH_CHURN=STARTS` chooses another number than the suite's (`cargo xtask churn` takes 1000).

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::Berth;
use e2e::daemon::IMAGE;
use e2e::keep_alive::Connection;
use e2e::lab::{Answer, Kind, Lab, Namespace, Site, at, dns, flows, tcp, udp};
use e2e::programs::{self, patient};

/// Containers that are started and stopped side by side.
const WORKERS: u16 = 4;
/// Starts after which everything that stays has been made.
const WARM_UP: usize = 8;
/// Descriptors that may be more or fewer at any moment: connections of clients, namespaces that are ready.
const SLACK: usize = 6;
/// How long a killed container's end may take, as Docker waits for it.
const END: Duration = Duration::from_secs(10);
/// Containers that start at the same time.
const AT_ONCE: usize = 50;

#[test]
fn starts_and_stops_leave_nothing() -> Result<()> {
    let starts = match std::env::var("BERTH_CHURN") {
        Ok(text) => text.parse().context("BERTH_CHURN=STARTS")?,
        Err(_) => 60,
    };
    let mut lab = Lab::start(Kind::Berth, &[])?;
    // An address that is not given back is missed soon: there are thirteen.
    lab.engine.ok(&["network", "create", "--subnet", "172.29.9.0/28", "net"])?;
    for worker in 0..WORKERS {
        let (name, network) = (format!("w{worker}"), if worker % 2 == 0 { "net" } else { "bridge" });
        let [tcp, udp] = ports(worker).map(|port| port.to_string());
        let publish = ["-p", &format!("{tcp}:80"), "-p", &format!("{udp}:81/udp")].map(str::to_owned);
        let words = ["create", "--name", &name, "--network", network].map(str::to_owned);
        let serve = [IMAGE, "nc", "-ll", "-p", "80", "-e", "echo", "served"].map(str::to_owned);
        let words: Vec<_> = words.into_iter().chain(publish).chain(serve).collect();
        lab.engine.ok(&words.iter().map(String::as_str).collect::<Vec<_>>())?;
    }
    let (host, outside) = (lab.site.host.clone(), lab.site.outside.clone());
    let berth = lab.engine.berth()?;
    churn(berth, &outside, WARM_UP)?;
    let before = settled(berth, &host)?;
    churn(berth, &outside, starts)?;
    let after = settled(berth, &host)?;
    println!("{starts} starts and stops; descriptors {} then {}", before.descriptors, after.descriptors);
    ensure!(after.rules == before.rules, "rules are left:\n{}\nbefore:\n{}", after.rules, before.rules);
    ensure!(after.links == before.links, "links are left: {:?}, before {:?}", after.links, before.links);
    ensure!(
        after.descriptors <= before.descriptors + SLACK,
        "descriptors of berthd are left: {:#?}\nbefore: {:#?}",
        after.open,
        before.open
    );
    lab.finish()
}

fn ports(worker: u16) -> [u16; 2] {
    [8080 + worker, 9080 + worker]
}

/// What may grow.
struct Left {
    rules: String,
    links: Vec<String>,
    descriptors: usize,
    open: BTreeMap<String, usize>,
}

/// What is there when no container runs. Flows of theirs are not.
fn settled(berth: &Berth, host: &Namespace) -> Result<Left> {
    let mut told = String::new();
    let gone = programs::eventually("flows and interfaces of containers are gone", || {
        let flows: Vec<_> = flows(host)?.into_iter().filter(|flow| !flow.is_of_the_segment()).collect();
        let links = links(host)?;
        told = format!("{flows:#?} {links:?}");
        Ok((flows.is_empty() && !links.iter().any(|name| name.starts_with("veth"))).then_some(()))
    });
    gone.with_context(|| told)?;
    let mut open = BTreeMap::new();
    for entry in std::fs::read_dir(format!("/proc/{}/fd", berth.pid()?))? {
        let Ok(target) = std::fs::read_link(entry?.path()) else { continue };
        let text = target.to_string_lossy().into_owned();
        *open.entry(text.split(['[', '(']).next().unwrap_or_default().to_owned()).or_insert(0) += 1;
    }
    let rules = host.nft("-n list ruleset")?;
    Ok(Left { rules, links: links(host)?, descriptors: open.values().sum(), open })
}

fn links(host: &Namespace) -> Result<Vec<String>> {
    let text = host.ip("-br link")?;
    Ok(text.lines().filter_map(|line| line.split([' ', '@']).next()).map(str::to_owned).collect())
}

/// Starts and stops containers `count` times in all, each time with packets to its published ports.
fn churn(berth: &Berth, outside: &Namespace, count: usize) -> Result<()> {
    let each = count.div_ceil(usize::from(WORKERS));
    std::thread::scope(|scope| {
        let work = |worker| scope.spawn(move || (0..each).try_for_each(|_| once(berth, outside, worker)));
        let workers: Vec<_> = (0..WORKERS).map(work).collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().map_err(|_panic| anyhow::anyhow!("a worker panicked"))?)
    })
}

fn once(berth: &Berth, outside: &Namespace, worker: u16) -> Result<()> {
    let mut api = Connection::open(berth.root())?;
    let mut ask = |verb: &str| -> Result<()> {
        let reply = api.ask("POST", &format!("/containers/w{worker}/{verb}"), b"")?;
        ensure!(reply.status == 204, "{verb}: {} {}", reply.status, String::from_utf8_lossy(&reply.body));
        Ok(())
    };
    let [port, other] = ports(worker);
    ask("start")?;
    programs::eventually("the published port answers", || {
        let answer = tcp(outside, at(Site::HOST, port)?)?;
        Ok(matches!(answer, Answer::Heard(words) if words == "served\n").then_some(()))
    })?;
    // Nobody listens: the container says so.
    let answer = udp(outside, at(Site::HOST, other)?)?;
    ensure!(answer == Answer::Refused, "udp: {answer}");
    // `t=0` has these ten seconds of Docker's and no more on any machine
    let (begun, most) = (Instant::now(), patient(END));
    ask(&format!("stop?signal=SIGKILL&t={}", most.as_secs()))?;
    ensure!(begun.elapsed() < most, "its end took {:?}", begun.elapsed());
    Ok(())
}

#[test]
fn fifty_at_once_have_addresses_and_names_of_their_own() -> Result<()> {
    let mut lab = Lab::start(Kind::Berth, &[])?;
    lab.engine.ok(&["network", "create", "--subnet", "172.29.10.0/24", "net"])?;
    let asking = lab.container("asking", &["--network", "net"])?;
    let berth = &*lab.engine.berth()?;
    let all = |words: fn(String) -> Vec<String>| {
        std::thread::scope(|scope| {
            let one = |number| scope.spawn(move || berth.berth(words(format!("c{number}")))?.ok());
            let all: Vec<_> = (0..AT_ONCE).map(one).collect();
            all.into_iter()
                .map(|thread| thread.join().map_err(|_panic| anyhow::anyhow!("a client panicked"))?)
                .collect::<Result<Vec<_>>>()
        })
    };
    for _ in 0..2 {
        all(|name| {
            ["run", "-d", "--network", "net", "--name", &name, IMAGE, "sleep", "100000"]
                .map(str::to_owned)
                .to_vec()
        })?;
        let mut client = dns::Client::new(&asking.netns, "127.0.0.11")?;
        let mut seen = HashSet::from([asking.ip()?.to_string()]);
        for number in 0..AT_ONCE {
            let (id, name) = (number as u16, format!("c{number}"));
            let answer = client.ask(&dns::question(id, &name, 1))?.context("no answer")?;
            let told = dns::Told::read(&answer)?;
            const IP: &str = "{{.NetworkSettings.Networks.net.IPAddress}}";
            let ip = berth.berth(["inspect", "-f", IP, &name])?.ok()?;
            ensure!(told.code == 0 && told.addresses == [ip.as_str()], "{name}: {told}, not {ip}");
            ensure!(seen.insert(ip.clone()), "{ip} is given twice");
        }
        all(|name| ["rm", "-f", &name].map(str::to_owned).to_vec())?;
    }
    drop(asking);
    lab.finish()
}
