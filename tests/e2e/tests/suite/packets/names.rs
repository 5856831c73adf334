//! The embedded resolver and other servers: who is asked for what, and what comes back.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::lab::dns::{self, Client, NameServer, Told};
use e2e::lab::{Kind, Lab, Site};

super::on_both! {
    answers_of_others [];
    several_servers [];
    sizes [];
    own_names [];
    hostile_packets [];
}

const A: u16 = 1;
const AAAA: u16 = 28;
const TXT: u16 = 16;

/// Asks the embedded resolver over UDP.
fn ask(lab: &Lab, what: &str, expected: &str, client: &mut Client, query: &[u8]) -> Result<()> {
    lab.is(what, expected, told(client.ask(query)?.as_deref())?);
    Ok(())
}

fn told(answer: Option<&[u8]>) -> Result<String> {
    answer.map_or(Ok("nothing".to_owned()), |answer| Ok(Told::read(answer)?.to_string()))
}

/// Asks it over TCP.
fn by_tcp(inside: &e2e::lab::Inside, query: &[u8]) -> Result<Vec<u8>> {
    let mut stream = inside.netns.within(|| Ok(TcpStream::connect("127.0.0.11:53")?))?;
    stream.set_read_timeout(Some(Duration::from_secs(15)))?;
    dns::write(&mut stream, query)?;
    Ok(dns::read(&mut stream)?)
}

fn answers_of_others(lab: &Lab) -> Result<()> {
    let far = NameServer::start(&lab.site.outside, Site::OUTSIDE, Duration::ZERO, |query, name, tcp| {
        Some(match name {
            "one.example.org" | "ONE.example.ORG" => dns::address(query, [192, 0, 2, 1]),
            "nodata.example.org" => dns::code(query, 0, false),
            "long.example.org" if !tcp => dns::code(query, 0, true),
            "long.example.org" => dns::addresses(query, &[[192, 0, 2, 9]; 100]),
            "failing.example.org" => dns::code(query, 2, false),
            _ => dns::code(query, 3, false),
        })
    })?;
    lab.engine.ok(&["network", "create", "net"])?;
    let web = lab.container("web", &["--network", "net", "--dns", Site::OUTSIDE])?;
    let mut client = Client::new(&web.netns, "127.0.0.11")?;
    let mut is = |name: &str, kind: u16, expected: &str| {
        ask(lab, name, expected, &mut client, &dns::question(7, name, kind))
    };
    is("one.example.org", A, "0 [192.0.2.1]")?;
    is("ONE.example.ORG", A, "0 [192.0.2.1]")?;
    is("nodata.example.org", A, "0 []")?;
    is("nobody.example.org", A, "3 []")?;
    is("failing.example.org", A, "2 []")?;
    // What does not fit is cut off, and the client asks over TCP.
    is("long.example.org", A, "0 [] truncated")?;
    let whole = Told::read(&by_tcp(&web, &dns::question(8, "long.example.org", A))?)?;
    lab.is("over TCP", 100, whole.addresses.len());
    let asked = far.asked();
    ensure!(asked.contains(&"tcp long.example.org".to_owned()), "{asked:?}");
    // Names of containers, and what they have not, are asked of nobody.
    is("web", A, &format!("0 [{}]", web.ip()?))?;
    is("web", AAAA, "0 []")?;
    let asked = far.asked();
    ensure!(!asked.iter().any(|line| line.ends_with(" web")), "{asked:?}");
    Ok(())
}

/// In their order; the next when one says nothing or fails.
fn several_servers(lab: &Lab) -> Result<()> {
    let script: [dns::Script; 2] = [
        |query, name, _| match name {
            "silent.example.org" => None,
            "failing.example.org" => Some(dns::code(query, 2, false)),
            "refused.example.org" => Some(dns::code(query, 5, false)),
            "nobody.example.org" => Some(dns::code(query, 3, false)),
            _ => Some(dns::address(query, [192, 0, 2, 1])),
        },
        |query, _, _| Some(dns::address(query, [192, 0, 2, 2])),
    ];
    let first = NameServer::start(&lab.site.outside, Site::OUTSIDE, Duration::ZERO, script[0])?;
    let second = NameServer::start(&lab.site.neighbour, Site::NEIGHBOUR, Duration::ZERO, script[1])?;
    lab.engine.ok(&["network", "create", "net"])?;
    let servers = ["--network", "net", "--dns", Site::OUTSIDE, "--dns", Site::NEIGHBOUR];
    let web = lab.container("web", &servers)?;
    let mut client = Client::new(&web.netns, "127.0.0.11")?;
    let mut is =
        |name: &str, expected: &str| ask(lab, name, expected, &mut client, &dns::question(9, name, A));
    is("first.example.org", "0 [192.0.2.1]")?;
    lab.is("the second is not asked", 0, second.asked().len());
    // Docker 20.10 goes on to the next when there is no such name: later ones do not, as resolv.conf(5) has it.
    let ours = lab.engine.kind() == Kind::Berth;
    is("nobody.example.org", if ours { "3 []" } else { "0 [192.0.2.2]" })?;
    lab.is("nor when there is no such name", usize::from(!ours), second.asked().len());
    is("failing.example.org", "0 [192.0.2.2]")?;
    is("refused.example.org", "0 [192.0.2.2]")?;
    is("silent.example.org", "0 [192.0.2.2]")?;
    lab.is("the first was asked", 5, first.asked().len());
    // No server at all that listens.
    drop((first, second));
    let nobody = client.ask(&dns::question(10, "first.example.org", A))?;
    let expected = if ours { "2 []" } else { "nothing" };
    // Docker 20.10 says nothing when it has no answer; since 23 it says SERVFAIL.
    lab.is("nobody listens", expected, told(nobody.as_deref())?);
    Ok(())
}

/// Answers longer than 512 bytes go to those who say that they take them.
fn sizes(lab: &Lab) -> Result<()> {
    let _far = NameServer::start(&lab.site.outside, Site::OUTSIDE, Duration::ZERO, |query, _, _| {
        // Tells apart whether the client's EDNS record arrives.
        let edns = query.get(10..12) == Some(&[0, 1]);
        Some(dns::addresses(query, &vec![[192, 0, 2, 3]; if edns { 250 } else { 20 }]))
    })?;
    lab.engine.ok(&["network", "create", "net"])?;
    let web = lab.container("web", &["--network", "net", "--dns", Site::OUTSIDE])?;
    let mut client = Client::new(&web.netns, "127.0.0.11")?;
    let plain = dns::question(1, "big.example.org", A);
    let count = |answer: Option<Vec<u8>>| -> Result<usize> {
        Ok(Told::read(&answer.context("no answer")?)?.addresses.len())
    };
    lab.is("plain", 20, count(client.ask(&plain)?)?);
    let mut edns = dns::question(2, "big.example.org", A);
    edns[11] = 1;
    // OPT: the root, type 41, 4,096 bytes, nothing more.
    edns.extend([0, 0, 41, 16, 0, 0, 0, 0, 0, 0, 0]);
    lab.is("with EDNS", 250, count(client.ask(&edns)?)?);
    Ok(())
}

/// Whatever the case, with dots in them, with the network's name behind them.
fn own_names(lab: &Lab) -> Result<()> {
    let far = NameServer::start(&lab.site.outside, Site::OUTSIDE, Duration::ZERO, |query, _, _| {
        Some(dns::code(query, 3, false))
    })?;
    lab.engine.ok(&["network", "create", "net"])?;
    let more = ["--network", "net", "--network-alias", "db.example.org", "--network-alias", "Mixed"];
    let web = lab.container("web", &[&more[..], &["--dns", Site::OUTSIDE]].concat())?;
    let mut client = Client::new(&web.netns, "127.0.0.11")?;
    let found = format!("0 [{}]", web.ip()?);
    for name in ["web", "web.net", "db.example.org", "Mixed"] {
        ask(lab, name, &found, &mut client, &dns::question(3, name, A))?;
    }
    let _ = far.asked();
    // What it has nothing of is not asked of others.
    ask(lab, "no text", "0 []", &mut client, &dns::question(4, "db.example.org", AAAA))?;
    lab.is("asked of others", 0, far.asked().len());
    ask(lab, "another name", "3 []", &mut client, &dns::question(5, "dbx.example.org", TXT))
}

/// What is no question is dropped or refused, and the resolver goes on.
fn hostile_packets(lab: &Lab) -> Result<()> {
    lab.engine.ok(&["network", "create", "net"])?;
    let web = lab.container("web", &["--network", "net"])?;
    let socket = Client::new(&web.netns, "127.0.0.11")?.asking()?;
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    for round in 0..2000_usize {
        // Whole questions with a few bytes changed or missing, and noise.
        let mut packet = dns::question(round as u16, "web", A);
        for _ in 0..=round % 4 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let place = (seed >> 33) as usize % packet.len();
            packet[place] = (seed >> 24) as u8;
        }
        packet.truncate(packet.len() - round % 7);
        let _ = socket.send(&packet);
    }
    let _ = socket.send(&[]);
    let _ = socket.send(&[0xff; 65507]);
    // A name that points at itself.
    let mut looped = dns::question(1, "web", A);
    looped.splice(12..17, [0xc0, 12]);
    let _ = socket.send(&looped);
    // TCP: half a length, half a message, a length of nothing.
    for bytes in [&[0][..], &[0, 40, 1, 2], &[0, 0], &[0xff; 2000]] {
        let mut stream = web.netns.within(|| Ok(TcpStream::connect("127.0.0.11:53")?))?;
        let _ = stream.write_all(bytes);
    }
    let mut client = Client::new(&web.netns, "127.0.0.11")?;
    // The questions before it may still fill the resolver's queue: like any client, this one asks again.
    let question = dns::question(2, "web", A);
    let answer = (0..5).find_map(|_| client.ask(&question).transpose()).transpose()?;
    lab.is("afterwards", format!("0 [{}]", web.ip()?), told(answer.as_deref())?);
    let answer = by_tcp(&web, &dns::question(3, "web", A))?;
    lab.is("afterwards by TCP", format!("0 [{}]", web.ip()?), told(Some(&answer))?);
    Ok(())
}
