//! `berthd` killed while clients hold connections through published ports, and while names are asked for.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::lab::dns::{self, NameServer, Told};
use e2e::lab::{Inside, Kind, Lab, Namespace, Site, at};
use e2e::programs::{self, patient};

const CLIENTS: usize = 100;
/// Questions a second over UDP: half for a container, half for a name that another server knows.
const RATE: u32 = 1000;
const KILLS: usize = 5;
/// Questions that wait for their answers at once, at most: with more, it is the machine that is too busy for the rate.
const WAITING: u64 = 800;
/// What the other server takes for its answer: some questions wait for it at every moment.
const DELAY: Duration = Duration::from_millis(40);
/// What a client sends at once.
const CHUNK: usize = 512;

#[test]
fn berthd_is_killed_and_no_connection_byte_or_question_is_lost() -> Result<()> {
    let mut lab = Lab::start(Kind::Berth, &["--log-level", "debug"])?;
    let done = under_fire(&mut lab).map_err(|error| match lab.engine.berth() {
        Ok(berth) => error.context(told(&berth.log())),
        Err(gone) => error.context(gone),
    })?;
    println!("{done}");
    lab.finish()
}

/// What the daemon says of the servers that it asks.
fn told(log: &str) -> String {
    let lines: Vec<_> = log.lines().filter(|line| line.contains("name server")).collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

/// The test; the answer is what has been done in it.
fn under_fire(lab: &mut Lab) -> Result<String> {
    lab.engine.ok(&["network", "create", "net"])?;
    let web = lab.container("web", &["--network", "net", "--dns", Site::OUTSIDE, "-p", "8080:80"])?;
    let _far = NameServer::start(&lab.site.outside, Site::OUTSIDE, DELAY, |query, _, _| {
        Some(dns::address(query, [192, 0, 2, 77]))
    })?;
    let [stop, calm] = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
    let [exchanged, by_udp, by_tcp] = [(); 3].map(|()| Arc::new(AtomicU64::new(0)));
    let trouble = Trouble::default();
    let server = echo(&web)?;
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| client(&lab.site.outside, number as u64, [&stop, &calm], &exchanged, &trouble))
        .collect::<Result<_>>()?;
    let streams: Vec<_> =
        (0..4).map(|number| asks_by_tcp(&web, number, &stop, &by_tcp, &trouble)).collect::<Result<_>>()?;
    let asked = asks(&web, &stop, &by_udp, &trouble)?;
    for _ in 0..KILLS {
        lab.engine.berth()?.kill()?;
        // Without a daemon, connections go on.
        let before = exchanged.load(Ordering::Relaxed);
        trouble.until_more("chunks come back", &exchanged, before + 10 * CLIENTS as u64)?;
        // The clients are many and would keep a starting daemon from a busy machine's processors.
        calm.store(true, Ordering::Relaxed);
        lab.engine.berth()?.spawn()?;
        calm.store(false, Ordering::Relaxed);
        // It has to do, and something is under way, when it is killed again.
        let (udp, tcp) = (by_udp.load(Ordering::Relaxed), by_tcp.load(Ordering::Relaxed));
        trouble.until_more("questions are asked over UDP", &by_udp, udp + u64::from(RATE) / 2)?;
        trouble.until_more("questions are answered over TCP", &by_tcp, tcp + 20)?;
    }
    stop.store(true, Ordering::Relaxed);
    let mut bytes = 0;
    for client in clients {
        bytes += join(client)??;
    }
    ensure!(bytes > 0 && bytes == join(server)??, "as many bytes came as were sent");
    let (asked, wrong) = join(asked)??;
    ensure!(wrong.is_empty(), "of {asked} questions over UDP, {} have other answers: {wrong:?}", wrong.len());
    for stream in streams {
        join(stream)??;
    }
    let by_tcp = by_tcp.load(Ordering::Relaxed);
    Ok(format!(
        "{bytes} bytes by {CLIENTS} connections, {asked} questions over UDP, {by_tcp} over TCP, {KILLS} kills"
    ))
}

/// What ended before it was to end, and why.
#[derive(Clone, Default)]
struct Trouble(Arc<Mutex<Vec<String>>>);

impl Trouble {
    /// Runs `work` on a thread of its own, and notes its error.
    fn watch<T: Send + 'static>(
        &self,
        what: String,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> JoinHandle<Result<T>> {
        let noted = Arc::clone(&self.0);
        std::thread::spawn(move || {
            work().inspect_err(|error| {
                noted.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{what}: {error:#}"));
            })
        })
    }

    /// Waits until there are more than `least`, for as long as they become more at all and nothing has failed.
    fn until_more(&self, what: &str, count: &AtomicU64, least: u64) -> Result<()> {
        while count.load(Ordering::Relaxed) <= least {
            let now = count.load(Ordering::Relaxed);
            programs::eventually(what, || {
                let noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                ensure!(noted.is_empty(), "{noted:?}");
                Ok((count.load(Ordering::Relaxed) > now).then_some(()))
            })
            .with_context(|| format!("{now} so far, {least} are too few"))?;
        }
        Ok(())
    }
}

fn join<T>(thread: JoinHandle<T>) -> Result<T> {
    thread.join().map_err(|_panic| anyhow::anyhow!("a thread panicked"))
}

/// Sends back what comes, over each of the clients' connections; gives how much that was in all.
fn echo(web: &Inside) -> Result<JoinHandle<Result<u64>>> {
    let listener = web.netns.within(|| Ok(TcpListener::bind("0.0.0.0:80")?))?;
    Ok(std::thread::spawn(move || {
        let mut connections = Vec::new();
        for _ in 0..CLIENTS {
            let (mut stream, _) = listener.accept()?;
            connections
                .push(std::thread::spawn(move || std::io::copy(&mut stream.try_clone()?, &mut stream)));
        }
        let mut bytes = 0;
        for connection in connections {
            bytes += join(connection)??;
        }
        Ok(bytes)
    }))
}

/// Sends numbered chunks and takes them back until it is told to stop, and more slowly when it is to be calm; gives the number of bytes.
fn client(
    outside: &Namespace,
    number: u64,
    [stop, calm]: [&Arc<AtomicBool>; 2],
    exchanged: &Arc<AtomicU64>,
    trouble: &Trouble,
) -> Result<JoinHandle<Result<u64>>> {
    let mut stream = programs::eventually("the port answers", || {
        outside.within(|| Ok(TcpStream::connect(at(Site::HOST, 8080)?).ok()))
    })?;
    stream.set_read_timeout(Some(patient(programs::PATIENCE)))?;
    stream.set_nodelay(true)?;
    let (stop, calm, exchanged) = (Arc::clone(stop), Arc::clone(calm), Arc::clone(exchanged));
    Ok(trouble.watch(format!("connection {number}"), move || {
        let pace = Pace::new();
        let (mut sent, mut back) = (0, [0; CHUNK]);
        while !stop.load(Ordering::Relaxed) {
            let label = (number << 40) + sent;
            let chunk: Vec<u8> = label.to_be_bytes().into_iter().cycle().take(CHUNK).collect();
            stream.write_all(&chunk).context("a connection is cut")?;
            stream.read_exact(&mut back).context("a connection is cut")?;
            ensure!(back[..] == chunk[..], "other bytes came back");
            sent += CHUNK as u64;
            exchanged.fetch_add(1, Ordering::Relaxed);
            let rest = Duration::from_millis(if calm.load(Ordering::Relaxed) { 100 } else { 5 });
            // as for the questions: what is nothing to a machine keeps a slow one from all other tests
            pace.wait(patient(rest));
        }
        stream.shutdown(std::net::Shutdown::Write)?;
        ensure!(stream.read(&mut back)? == 0, "more came than was sent");
        Ok(sent)
    }))
}

/// Asks over UDP, at an even pace, whether answers come or not. However long it takes: when the ids are used up, it
/// goes on from another socket.
fn asks(
    web: &Inside,
    stop: &Arc<AtomicBool>,
    count: &Arc<AtomicU64>,
    trouble: &Trouble,
) -> Result<JoinHandle<Result<Asked>>> {
    let (netns, ip) = (web.netns.clone(), web.ip()?.to_string());
    let (stop, count) = (Arc::clone(stop), Arc::clone(count));
    Ok(trouble.watch("questions over UDP".to_owned(), move || {
        let mut all: Asked = (0, Vec::new());
        while !stop.load(Ordering::Relaxed) {
            let (asked, wrong) = asks_once_each(&netns, &ip, &stop, &count)?;
            all.0 += asked;
            all.1.extend(wrong);
        }
        Ok(all)
    }))
}

/// A question's id, and its answer if there was any.
type Wrong = (u16, Option<Told>);
/// How many questions were asked, and which of them were not answered rightly.
type Asked = (usize, Vec<Wrong>);

/// The same with each id once at most.
fn asks_once_each(netns: &Namespace, ip: &str, stop: &AtomicBool, count: &AtomicU64) -> Result<Asked> {
    let client = dns::Client::new(netns, "127.0.0.11")?;
    let asking = client.asking()?;
    let (all, answered) = (Arc::new(AtomicU64::new(u64::MAX)), Arc::new(AtomicU64::new(0)));
    let (known, so_far) = (Arc::clone(&all), Arc::clone(&answered));
    let listening =
        std::thread::spawn(move || client.collect(|| known.load(Ordering::Relaxed) as usize, &so_far));
    let (pace, start) = (Pace::new(), Instant::now());
    let mut asked: u16 = 0;
    while !stop.load(Ordering::Relaxed) && asked < u16::MAX {
        let due = patient(Duration::from_secs(1)) * asked.into() / RATE;
        pace.wait(due.saturating_sub(start.elapsed()));
        if u64::from(asked).saturating_sub(answered.load(Ordering::Relaxed)) >= WAITING {
            pace.wait(Duration::from_millis(1));
            continue;
        }
        asking.send(&dns::question(asked, name(asked), 1))?;
        asked += 1;
        count.fetch_add(1, Ordering::Relaxed);
    }
    all.store(asked.into(), Ordering::Relaxed);
    let mut answers = join(listening)??;
    let wrong = (0..asked)
        .map(|id| (id, answers.remove(&id)))
        .filter(|(id, told)| !told.as_ref().is_some_and(|told| right(*id, told, ip)));
    Ok((usize::from(asked), wrong.collect()))
}

fn name(id: u16) -> &'static str {
    if id.is_multiple_of(2) { "web" } else { "far.example.org" }
}

/// Four seconds, as the resolver waits for the other server, may be short on a machine that is said to be slow: there
/// that nobody knows of the server's name is an answer, too.
fn right(id: u16, told: &Told, ip: &str) -> bool {
    const NO_ANSWER: u8 = 2;
    let second = Duration::from_secs(1);
    let late = !id.is_multiple_of(2) && patient(second) > second && told.code == NO_ANSWER;
    let address = if id.is_multiple_of(2) { ip } else { "192.0.2.77" };
    late || told.code == 0 && told.addresses == [address]
}

/// Asks over one connection, one question after the other. The first is answered when this is: a connection that a
/// daemon has only just accepted ends with it.
fn asks_by_tcp(
    web: &Inside,
    first: u16,
    stop: &Arc<AtomicBool>,
    count: &Arc<AtomicU64>,
    trouble: &Trouble,
) -> Result<JoinHandle<Result<()>>> {
    let mut stream = web.netns.within(|| Ok(TcpStream::connect("127.0.0.11:53")?))?;
    stream.set_read_timeout(Some(patient(programs::PATIENCE)))?;
    let (stop, count, ip) = (Arc::clone(stop), Arc::clone(count), web.ip()?.to_string());
    let mut id = first;
    ask_by_tcp(&mut stream, id, &ip)?;
    Ok(trouble.watch(format!("questions over TCP, from {first}"), move || {
        while !stop.load(Ordering::Relaxed) {
            id = id.wrapping_add(1);
            ask_by_tcp(&mut stream, id, &ip)?;
            count.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }))
}

fn ask_by_tcp(stream: &mut TcpStream, id: u16, ip: &str) -> Result<()> {
    dns::write(stream, &dns::question(id, name(id), 1)).context("a question over TCP")?;
    // An answer that a killed daemon gave may be given again by the next one.
    let answer = loop {
        let answer = dns::read(stream).context("an answer over TCP")?;
        if answer.get(..2) == Some(&id.to_be_bytes()) {
            break answer;
        }
    };
    ensure!(right(id, &Told::read(&answer)?, ip), "{id}: {answer:?}");
    Ok(())
}

/// Waits by listening to nobody.
struct Pace {
    never: mpsc::Receiver<()>,
    _open: mpsc::Sender<()>,
}

impl Pace {
    fn new() -> Self {
        let (_open, never) = mpsc::channel();
        Self { never, _open }
    }

    fn wait(&self, time: Duration) {
        let _ = self.never.recv_timeout(time);
    }
}
