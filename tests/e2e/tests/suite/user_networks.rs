//! Networks that persons make: names, isolation, live joins, and a resolver that outlives the daemon. By packets.

use std::collections::HashSet;
use std::net::UdpSocket;
use std::os::fd::AsFd;

use anyhow::{Context, Result, ensure};
use e2e::daemon::{Berth, IMAGE};
use e2e::programs;

/// A daemon, asked through the real client.
struct Host(Berth);

impl Host {
    fn start() -> Result<Self> {
        Ok(Self(Berth::start()?))
    }

    fn ok(&self, args: &[&str]) -> Result<String> {
        self.0.docker(args)?.ok()
    }

    /// A container that serves its own hosts file on port 80.
    fn serve(&self, name: &str, more: &[&str]) -> Result<()> {
        let run = [&["run", "-d", "--name", name, "--hostname", name], more].concat();
        self.ok(&[&run[..], &[IMAGE, "httpd", "-f", "-p", "80", "-h", "/etc"]].concat()).map(drop)
    }

    /// What a container gets from another's port 80, by TCP.
    fn get(&self, from: &str, to: &str) -> Result<Option<String>> {
        let ask = format!("printf 'GET /hostname HTTP/1.0\\r\\n\\r\\n' | nc -w 2 {to} 80 | tail -n 1");
        let ran = self.0.docker(["exec", from, "sh", "-c", &ask])?;
        Ok(Some(ran.stdout.trim().to_owned()).filter(|name| !name.is_empty()))
    }

    fn pings(&self, from: &str, to: &str) -> Result<bool> {
        Ok(self.0.docker(["exec", from, "ping", "-c", "1", "-W", "1", to])?.code == 0)
    }

    /// The addresses that a name has for a container, in the order of the answer.
    fn addresses(&self, of: &str, name: &str) -> Result<Vec<String>> {
        let ran = self.0.docker(["exec", of, "nslookup", "-type=a", name])?;
        let after = ran.stdout.split_once("Name:").map(|(_, rest)| rest.to_owned()).unwrap_or_default();
        Ok(after.lines().filter_map(|line| line.strip_prefix("Address: ")).map(str::to_owned).collect())
    }

    fn address(&self, name: &str, network: &str) -> Result<String> {
        self.ok(&["inspect", "-f", &format!("{{{{.NetworkSettings.Networks.{network}.IPAddress}}}}"), name])
    }
}

#[test]
fn services_find_each_other_by_name_and_take_turns() -> Result<()> {
    let host = Host::start()?;
    host.ok(&["network", "create", "net"])?;
    host.serve("web", &["--network", "net", "--network-alias", "svc", "-p", "127.0.0.1::80"])?;
    host.serve("api", &["--network", "net", "--network-alias", "svc"])?;
    host.serve("alone", &[])?;
    ensure!(host.get("api", "web")?.as_deref() == Some("web"));
    ensure!(host.pings("web", "api")? && host.pings("web", "api.net")?);
    ensure!(!host.pings("web", "alone")?, "the default network has no names");
    let short = host.ok(&["inspect", "-f", "{{.Config.Hostname}} {{slice .Id 0 12}}", "web"])?;
    for name in short.split(' ') {
        ensure!(host.addresses("api", name)? == [host.address("web", "net")?], "{name}");
    }
    let both = HashSet::from([host.address("web", "net")?, host.address("api", "net")?]);
    let firsts: HashSet<_> = (0..2)
        .map(|_| Ok(host.addresses("web", "svc")?.into_iter().next().unwrap_or_default()))
        .collect::<Result<_>>()?;
    ensure!(firsts == both, "{firsts:?} are not {both:?} in turn");
    let named = host.ok(&["exec", "web", "nslookup", &host.address("api", "net")?])?;
    ensure!(named.contains("name = api.net"), "{named}");
    ensure!(host.ok(&["exec", "web", "cat", "/etc/resolv.conf"])?.contains("nameserver 127.0.0.11\n"));
    let port = host.ok(&["port", "web", "80"])?;
    ensure!(std::net::TcpStream::connect(&port).is_ok(), "published on {port}");
    // A new name is known at once.
    host.ok(&["rename", "api", "api2"])?;
    ensure!(host.pings("web", "api2")?);
    host.0.finish()
}

#[test]
fn networks_are_isolated_until_joined_and_a_disconnect_cuts_traffic() -> Result<()> {
    let host = Host::start()?;
    host.ok(&["network", "create", "front"])?;
    host.ok(&["network", "create", "--subnet", "10.213.7.0/24", "--internal", "back"])?;
    host.serve("aa", &["--network", "front"])?;
    host.serve("cc", &["--network", "back", "--ip", "10.213.7.77"])?;
    ensure!(!host.pings("aa", "cc")? && host.get("aa", "10.213.7.77")?.is_none());
    host.ok(&["network", "connect", "--alias", "bridgehead", "back", "aa"])?;
    ensure!(host.pings("aa", "cc")? && host.pings("cc", "bridgehead")?);
    ensure!(host.get("aa", "cc")?.as_deref() == Some("cc"));
    let routes = host.ok(&["exec", "aa", "ip", "route"])?;
    ensure!(routes.contains("dev eth1") && routes.starts_with("default via "), "{routes}");
    ensure!(host.ok(&["exec", "cc", "ip", "route"])?.lines().all(|line| !line.contains("default")));
    ensure!(
        host.ok(&["exec", "aa", "cat", "/etc/hosts"])?.lines().filter(|line| line.ends_with("\taa")).count()
            == 2
    );
    host.ok(&["network", "disconnect", "back", "aa"])?;
    ensure!(!host.pings("aa", "cc")? && !host.pings("aa", "10.213.7.77")? && !host.pings("cc", "aa")?);
    ensure!(!host.ok(&["exec", "aa", "ip", "link"])?.contains("eth1"));
    host.ok(&["network", "connect", "--link", "cc:linked", "back", "aa"])?;
    ensure!(host.pings("aa", "linked")? && host.pings("cc", "aa")?, "and back");
    // Networks outlive a stop and a start.
    host.ok(&["restart", "-t", "0", "aa"])?;
    ensure!(host.pings("aa", "linked")?);
    host.0.docker(["network", "rm", "back"])?.fails(1, "has active endpoints")?;
    host.0
        .docker(["network", "connect", "back", "aa"])?
        .fails(1, "endpoint with name aa already exists in network back")?;
    host.ok(&["rm", "-f", "aa", "cc"])?;
    ensure!(host.ok(&["network", "prune", "-f"])?.contains("Deleted Networks:"));
    ensure!(host.ok(&["network", "ls", "--format", "{{.Name}}"])?.lines().count() == 3);
    host.0.finish()
}

#[test]
fn what_cannot_be_a_network_is_refused_by_name() -> Result<()> {
    let berth = Berth::start()?;
    let refused = |args: &[&str], words: &str| berth.berth(args)?.fails(1, words);
    berth.berth(["network", "create", "--subnet", "10.213.6.0/24", "net"])?.ok()?;
    refused(&["network", "create", "net"], "network with name net already exists")?;
    refused(&["network", "create", "bridge"], "operation is not permitted on predefined bridge network")?;
    for (args, what) in [
        (&["--subnet", "10.213.6.128/25"][..], "Pool overlaps with other one on this address space"),
        (&["--subnet", "10.213.9.1/24"], "it should be 10.213.9.0/24"),
        (&["--ipv6", "--subnet", "fe80::/64"], "it holds no addresses for hosts"),
        (&["-d", "nothing"], "plugin \"nothing\" not found"),
        (&["-d", "overlay"], "overlay"),
        (&["--ipv4=false"], "IPv4 or IPv6 must be enabled"),
        (&["--ingress"], "Ingress"),
        (&["--scope", "swarm"], "swarm is not active"),
        (&["--ipam-driver", "dhcp"], "dhcp"),
        (&["-o", "foo=bar"], "foo=bar"),
    ] {
        refused(&[&["network", "create"], args, &["other"]].concat(), what)?;
    }
    refused(&["network", "rm", "bridge"], "bridge is a pre-defined network and cannot be removed")?;
    refused(&["network", "rm", "nope"], "network nope not found")?;
    berth.berth(["run", "-d", "--network", "nope", IMAGE, "true"])?.fails(125, "network nope not found")?;
    berth.berth(["run", "-d", "--name", "box", "--network", "net", IMAGE, "sleep", "1000"])?.ok()?;
    berth.berth(["run", "-d", "--name", "shy", "--network", "none", IMAGE, "sleep", "1000"])?.ok()?;
    refused(&["network", "connect", "net", "box"], "endpoint with name box already exists in network net")?;
    refused(&["network", "connect", "net", "shy"], "one of the networks in private (none) mode")?;
    refused(&["network", "disconnect", "net", "shy"], "is not connected to network net")?;
    berth.finish()
}

#[test]
fn what_is_told_of_networks() -> Result<()> {
    const MEMBERS: &str = "{{range .Containers}}{{.Name}} {{.IPv4Address}} {{.MacAddress}}{{end}} {{json .IPAM.Config}} {{.Labels.a}}";
    let berth = Berth::start()?;
    let ok = |args: &[&str]| berth.berth(args)?.ok();
    let create = ["network", "create", "--label", "a=b", "-o", "com.docker.network.driver.mtu=1400"];
    let id = ok(&[&create[..], &["--subnet", "10.213.8.0/24", "net"]].concat())?;
    let run = ["run", "-d", "--name", "box", "--network", "net", "--ip", "10.213.8.9"];
    ok(&[&run[..], &["--mac-address", "02:42:0a:00:00:09", IMAGE, "sleep", "1000"]].concat())?;
    let inspected = ok(&["network", "inspect", "-f", MEMBERS, "net"])?;
    let expected = "box 10.213.8.9/24 02:42:0a:00:00:09 [{\"Subnet\":\"10.213.8.0/24\"}] b";
    ensure!(inspected == expected, "{inspected}");
    ensure!(ok(&["exec", "box", "cat", "/sys/class/net/eth0/mtu"])? == "1400");
    ensure!(ok(&["network", "ls", "-q", "--filter", "type=custom", "--no-trunc"])? == id);
    ensure!(ok(&["network", "prune", "--dry-run"])?.is_empty(), "it is in use");
    ok(&["rm", "-f", "box"])?;
    ensure!(ok(&["network", "prune", "--dry-run"])? == "Networks that would be deleted:\nnet");
    ok(&["network", "rm", "net"])?;
    let filters = ["--since", "1h", "--until", "0s", "--filter", "type=network", "--filter", "network=net"];
    let events = ok(&[&["events", "--format", "{{.Action}}"], &filters[..]].concat())?;
    ensure!(events == "create\nconnect\ndisconnect\ndestroy", "{events}");
    berth.finish()
}

/// Steps that Debian's Docker takes too, and what each says; ids, times and addresses are left out.
fn story(docker: &dyn Fn(&[&str]) -> Result<programs::Ran>) -> Result<Vec<String>> {
    let mut told = Vec::new();
    let mut step = |args: &[&str]| -> Result<()> {
        let ran = docker(args)?;
        told.push(format!("{} => {} {}", args.join(" "), ran.code, blurred(&ran.stderr)));
        Ok(())
    };
    for words in [
        "network create --subnet 10.214.1.0/24 --gateway 10.214.1.254 --label x=y one",
        "network create --internal two",
        "network create one",
        "network create host",
        "network create --subnet 10.214.1.0/25 three",
        "network create -d nothing three",
        "network create -o com.docker.network.driver.mtu=abc three",
        "run -d --name aa --network one --ip 10.214.1.7 --network-alias alias oracle sleep 1000",
        "run -d --name bb --network two --ip 10.1.1.1 oracle sleep 1000",
        "run -d --name cc --network one --ip 10.214.1.7 oracle sleep 1000",
        "run -d --name dd --network nope oracle sleep 1000",
        "run -d --name ee --network none oracle sleep 1000",
        "run -d --name ff --network host oracle sleep 1000",
        "network connect two aa",
        "network connect two aa",
        "network connect host aa",
        "network connect none aa",
        "network connect one ee",
        "network connect one ff",
        "network connect --alias no bridge aa",
        "network connect nope aa",
        "network connect one nobody",
        "network disconnect one ee",
        "network disconnect host ff",
        "network rm one",
        "network rm bridge",
        "network disconnect two aa",
        "network rm two",
    ] {
        step(&words.split(' ').collect::<Vec<_>>())?;
    }
    Ok(told)
}

/// Without the hint that the clients print after an error, and without what differs each time.
fn blurred(text: &str) -> String {
    let hex = |word: &&str| !(word.len() >= 12 && word.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let first = text.lines().next().unwrap_or_default().trim_end_matches('.').replace("docker: ", "");
    first
        .split(' ')
        .filter(hex)
        .collect::<Vec<_>>()
        .join(" ")
        .replace("failed to set up container networking: ", "")
}

#[test]
fn debians_docker_says_the_same() -> Result<()> {
    let theirs = e2e::peers::Docker::apart(&["--storage-driver=vfs"])?;
    let berth = Berth::start()?;
    let image = e2e::image::Image::busybox()?;
    berth.load(&image, "oracle:latest")?;
    let archive = berth.root().join("oracle.tar");
    image.save(&archive, "oracle:latest")?;
    theirs.run(&["load", "-i", &archive.display().to_string()])?.ok()?;
    // The same client, so that only the daemons differ.
    let ours = |args: &[&str]| {
        let mut command = programs::command(std::path::Path::new("/usr/bin/docker"), args);
        programs::run(command.env("DOCKER_HOST", berth.host()))
    };
    let (docker, we) = (story(&|args| theirs.run(args))?, story(&ours)?);
    for (docker, we) in docker.iter().zip(&we) {
        ensure!(docker.to_lowercase() == we.to_lowercase(), "Docker: {docker}\nBerth:  {we}");
    }
    // Maps whose keys are data: containers, labels, networks.
    for (what, free) in [("one", &["[].Containers", "[].Labels"][..]), ("bridge", &["[].Options"])] {
        let shape = |ran: programs::Ran| -> Result<_> {
            Ok(e2e::shape::shape(&serde_json::from_str(&ran.ok()?)?, free))
        };
        let (docker, we) = (
            shape(theirs.run(&["network", "inspect", what])?)?,
            shape(ours(&["network", "inspect", what])?)?,
        );
        let differences = e2e::shape::differences(&we, &docker);
        // Docker has it since 28, in all versions of the API.
        ensure!(
            differences.iter().all(|line| line.contains("EnableIPv4") || line.contains(".Gateway")),
            "{what}: {differences:?}"
        );
    }
    let ends =
        |ran: programs::Ran| -> Result<_> { Ok(e2e::shape::shape(&serde_json::from_str(&ran.ok()?)?, &[])) };
    let format = ["inspect", "-f", "{{json .NetworkSettings}}", "aa"];
    let differences = e2e::shape::differences(&ends(ours(&format)?)?, &ends(theirs.run(&format)?)?);
    let newer = ["DNSNames", "GwPriority"];
    ensure!(differences.iter().all(|line| newer.iter().any(|key| line.contains(key))), "{differences:?}");
    theirs.run(&["rm", "-f", "aa", "bb", "cc", "dd", "ee", "ff"])?.ok()?;
    theirs.stop()?;
    berth.finish()
}

#[test]
fn compose_isolates_and_joins_as_declared() -> Result<()> {
    const PROJECT: &str = "\
version: '2.4'
services:
  front: {image: 'berth-test/busybox:latest', hostname: front, networks: [outer], command: [httpd, -f, -p, '80', -h, /etc]}
  both:
    image: berth-test/busybox:latest
    hostname: both
    networks: {outer: {}, inner: {aliases: [backend], ipv4_address: 10.213.10.5}}
    depends_on: [front]
    command: [httpd, -f, -p, '80', -h, /etc]
  db: {image: 'berth-test/busybox:latest', hostname: db, networks: [inner], command: [httpd, -f, -p, '80', -h, /etc]}
networks:
  outer: {}
  inner: {internal: true, ipam: {config: [{subnet: 10.213.10.0/24}]}}
";
    let host = Host::start()?;
    let project = host.0.root().join("project");
    std::fs::create_dir(&project)?;
    std::fs::write(project.join("docker-compose.yml"), PROJECT)?;
    let compose = |args: &[&str]| {
        let mut command = programs::command(std::path::Path::new("/usr/bin/docker-compose"), args);
        command.current_dir(&project).env("DOCKER_HOST", host.0.host()).env("COMPOSE_PROJECT_NAME", "two");
        programs::run(&mut command)?.ok()
    };
    compose(&["up", "-d"])?;
    let (front, both, db) = ("two_front_1", "two_both_1", "two_db_1");
    ensure!(host.get(front, "both")?.as_deref() == Some("both"));
    ensure!(host.get(both, "db")?.as_deref() == Some("db") && host.pings(both, "front")?);
    ensure!(host.get(db, "backend")?.as_deref() == Some("both"));
    ensure!(!host.pings(front, "db")? && !host.pings(db, "front")?);
    ensure!(host.get(front, &host.address(db, "two_inner")?)?.is_none(), "by its address neither");
    // A second `up` finds everything as it should be, and touches nothing.
    let before = host.ok(&["inspect", "-f", "{{.Id}}", both])?;
    compose(&["up", "-d"])?;
    ensure!(host.ok(&["inspect", "-f", "{{.Id}}", both])? == before);
    compose(&["down"])?;
    ensure!(host.ok(&["network", "ls", "--filter", "type=custom", "-q"])?.is_empty());
    host.0.finish()
}

/// A name server on the host's address in a network: it answers every question with one address, over UDP and TCP.
/// Tells what it was asked: the name, and whether with EDNS.
struct NameServer {
    asked: std::sync::Arc<std::sync::Mutex<Vec<(String, bool)>>>,
}

impl NameServer {
    const ANSWER: [u8; 4] = [192, 0, 2, 77];

    fn start(address: &str) -> Result<Self> {
        let asked = std::sync::Arc::<std::sync::Mutex<Vec<_>>>::default();
        let udp = UdpSocket::bind((address, 53)).with_context(|| address.to_owned())?;
        let tcp = std::net::TcpListener::bind((address, 53))?;
        let heard = std::sync::Arc::clone(&asked);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok((len, peer)) = udp.recv_from(&mut buffer) {
                let _ = udp.send_to(&Self::answer(&heard, &buffer[..len]), peer);
            }
        });
        let heard = std::sync::Arc::clone(&asked);
        std::thread::spawn(move || {
            while let Ok((mut stream, _)) = tcp.accept() {
                let _ = Self::converse(&heard, &mut stream);
            }
        });
        Ok(Self { asked })
    }

    fn converse(
        asked: &std::sync::Mutex<Vec<(String, bool)>>,
        stream: &mut std::net::TcpStream,
    ) -> Result<()> {
        use std::io::{Read, Write};
        let mut len = [0; 2];
        stream.read_exact(&mut len)?;
        let mut query = vec![0; usize::from(u16::from_be_bytes(len))];
        stream.read_exact(&mut query)?;
        let answer = Self::answer(asked, &query);
        stream.write_all(&u16::try_from(answer.len())?.to_be_bytes())?;
        Ok(stream.write_all(&answer)?)
    }

    fn answer(asked: &std::sync::Mutex<Vec<(String, bool)>>, query: &[u8]) -> Vec<u8> {
        let name: String =
            query[13..].iter().take_while(|byte| **byte != 0).map(|byte| char::from(*byte)).collect();
        let end = 12 + 1 + name.len() + 1 + 4;
        if let Ok(mut asked) = asked.lock() {
            asked.push((name, query[11] == 1));
        }
        let mut answer = query[..end].to_vec();
        answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
        answer.extend(b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04");
        answer.extend(Self::ANSWER);
        answer
    }
}

/// Sends a question from inside a container, over UDP or TCP, and gives what comes back.
fn question(netns: std::fs::File, name: &str, stream: bool) -> Result<Vec<u8>> {
    use std::io::{Read, Write};
    let mut query = b"\xab\xcd\x01\x00\x00\x01\x00\x00\x00\x00\x00\x01".to_vec();
    for label in name.split('.') {
        query.push(u8::try_from(label.len())?);
        query.extend(label.as_bytes());
    }
    query.extend(b"\x00\x00\x01\x00\x01");
    query.extend(b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00");
    let asking = std::thread::spawn(move || -> Result<Vec<u8>> {
        use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
        move_into_link_name_space(netns.as_fd(), Some(LinkNameSpaceType::Network))?;
        let mut answer = vec![0; 4096];
        if stream {
            let mut tcp = std::net::TcpStream::connect("127.0.0.11:53")?;
            tcp.set_read_timeout(Some(programs::PATIENCE))?;
            tcp.write_all(&u16::try_from(query.len())?.to_be_bytes())?;
            tcp.write_all(&query)?;
            let mut len = [0; 2];
            tcp.read_exact(&mut len)?;
            answer.truncate(usize::from(u16::from_be_bytes(len)));
            tcp.read_exact(&mut answer)?;
            return Ok(answer);
        }
        let udp = UdpSocket::bind("127.0.0.1:0")?;
        udp.set_read_timeout(Some(programs::PATIENCE))?;
        udp.send_to(&query, "127.0.0.11:53")?;
        let len = udp.recv(&mut answer)?;
        answer.truncate(len);
        Ok(answer)
    });
    asking.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

#[test]
fn other_names_are_asked_of_other_servers_and_never_from_an_internal_network() -> Result<()> {
    let host = Host::start()?;
    host.ok(&["network", "create", "--subnet", "10.213.11.0/24", "open"])?;
    host.ok(&["network", "create", "--subnet", "10.213.12.0/24", "--internal", "inner"])?;
    let (open, inner) = (NameServer::start("10.213.11.1")?, NameServer::start("10.213.12.1")?);
    host.serve(
        "web",
        &["--network", "open", "--dns", "10.213.11.1", "--dns-search", "example", "--dns-opt", "timeout:3"],
    )?;
    host.serve("shut", &["--network", "inner", "--dns", "10.213.12.1"])?;
    let conf = host.ok(&["exec", "web", "cat", "/etc/resolv.conf"])?;
    for line in ["nameserver 127.0.0.11", "search example", "options timeout:3 ndots:0"] {
        ensure!(conf.lines().any(|have| have == line), "{line}: {conf}");
    }
    let netns = |name: &str| -> Result<std::fs::File> {
        let pid = host.ok(&["inspect", "-f", "{{.State.Pid}}", name])?;
        Ok(std::fs::File::open(format!("/proc/{pid}/ns/net"))?)
    };
    for stream in [false, true] {
        let answer = question(netns("web")?, "far.example", stream)?;
        ensure!(answer.starts_with(&[0xab, 0xcd]) && answer.ends_with(&NameServer::ANSWER), "{answer:?}");
        let own = question(netns("web")?, "web.open", stream)?;
        ensure!(own[3] & 0xf == 0 && own.windows(4).any(|part| part == [10, 213, 11, 2]), "{own:?}");
        // SERVFAIL, and nobody was asked.
        let none = question(netns("shut")?, "far.example", stream)?;
        ensure!(none[3] & 0xf == 2, "{none:?}");
    }
    let asked = open.asked.lock().map(|asked| asked.clone()).unwrap_or_default();
    ensure!(asked == vec![("far\u{7}example".to_owned(), true); 2], "{asked:?}");
    ensure!(
        inner.asked.lock().is_ok_and(|asked| asked.is_empty()),
        "a question has left an internal network"
    );
    host.0.finish()
}
