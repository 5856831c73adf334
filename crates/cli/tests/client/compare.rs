//! The same command lines through `berth` and through the real `docker` client, against the same
//! daemon of canned answers: what is printed and the exit code are equal to the byte.

use super::fake::{Answer, Fake, Request};

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn containers() -> String {
    // The same for both clients: their answers show it to the second.
    static NOW: std::sync::LazyLock<u64> = std::sync::LazyLock::new(|| {
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
    });
    let now = *NOW;
    let one = |name: &str, age: u64, extra: &str| {
        format!(
            r#"{{"Id":"{ID}","Names":["/{name}"],"Image":"alpine:3.20","ImageID":"sha256:{ID}","Command":"/bin/sh -c 'while true; do \"x\"; done'","Created":{},"Labels":{{"b":"2","a.b-c":"1"}},"State":"running","Status":"Up 2 hours","HostConfig":{{"NetworkMode":"bridge"}},"NetworkSettings":{{"Networks":{{"bridge":{{}}}}}},{extra}}}"#,
            now - age
        )
    };
    let ports = r#""Ports":[{"IP":"0.0.0.0","PrivatePort":80,"PublicPort":8080,"Type":"tcp"},{"IP":"::","PrivatePort":80,"PublicPort":8080,"Type":"tcp"},{"PrivatePort":443,"Type":"tcp"},{"PrivatePort":444,"Type":"tcp"},{"IP":"0.0.0.0","PrivatePort":53,"PublicPort":53,"Type":"udp"}],"Mounts":[{"Type":"volume","Name":"0123456789abcdef0123","Driver":"local","Source":"","Destination":"/a"},{"Type":"bind","Source":"/srv","Destination":"/b"}],"SizeRw":1234567,"SizeRootFs":7800000,"ImageManifestDescriptor":{"mediaType":"m","digest":"sha256:a","size":1,"platform":{"architecture":"arm64","os":"linux","variant":"v8"}}"#;
    let short = r#""Ports":[],"Mounts":[]"#;
    format!(
        "[{},{},{}]",
        one("web", 150, ports),
        one("long_name_of_a_container", 90, short),
        one("x", 7200 * 24, short)
    )
}

const IMAGES: &str = r#"[
 {"Containers":-1,"Created":1700000000,"Id":"sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","Labels":null,"ParentId":"","RepoDigests":["alpine@sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"],"RepoTags":["alpine:3.20","alpine:latest"],"SharedSize":-1,"Size":7800000},
 {"Containers":2,"Created":1700000000,"Id":"sha256:dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd","Labels":null,"ParentId":"","RepoDigests":["localhost:5000/team/app@sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","localhost:5000/team/app@sha256:eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"],"RepoTags":["localhost:5000/team/app:v1"],"SharedSize":1000,"Size":1234567890},
 {"Containers":-1,"Created":1700000000,"Id":"sha256:ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff","Labels":null,"ParentId":"","RepoDigests":["untagged@sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"],"RepoTags":[],"SharedSize":-1,"Size":1},
 {"Containers":-1,"Created":0,"Id":"sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc","Labels":{},"ParentId":"","RepoDigests":[],"RepoTags":[],"SharedSize":-1,"Size":123456789}
]"#;

const HISTORY: &str = r#"[
 {"Comment":"buildkit","Created":1700000000,"CreatedBy":"CMD [\"/bin/sh\"] # a line that is much longer than what is shown","Id":"sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","Size":0,"Tags":["alpine:3.20"]},
 {"Comment":"","Created":1699990000,"CreatedBy":"/bin/sh -c #(nop) ADD file:x in / ","Id":"<missing>","Size":7799999,"Tags":null}
]"#;

const INSPECT: &str = r#"{"Id":"0123","Created":"2026-01-02T03:04:05.6Z","Path":"sh","Args":[],"State":{"Status":"running","Running":true,"Pid":4242,"ExitCode":0,"StartedAt":"2026-01-02T03:04:06Z"},"Name":"/web","Mounts":[],"Config":{"Hostname":"h","Env":["A=<b>&c","B=2"],"Cmd":["sh","-c","x"],"Labels":{"b":"2","a":"1"},"Tty":false},"HostConfig":{"Memory":67108864,"NanoCpus":1500000000,"PortBindings":{},"RestartPolicy":{"Name":"no","MaximumRetryCount":0}},"NetworkSettings":{"Ports":{"80/tcp":[{"HostIp":"0.0.0.0","HostPort":"8080"},{"HostIp":"::","HostPort":"8080"}],"443/tcp":null},"Networks":{"bridge":{"IPAddress":"172.17.0.2"}}}}"#;

const VERSION: &str = r#"{"Platform":{"Name":"Some Engine"},"Version":"1.2.3","ApiVersion":"1.50","MinAPIVersion":"1.24","Os":"linux","Arch":"amd64","KernelVersion":"6.1","GitCommit":"abc","GoVersion":"go1","BuildTime":"2026-01-02T03:04:05.000000000+00:00","Components":[{"Name":"Engine","Version":"1.2.3","Details":{"ApiVersion":"1.50","MinAPIVersion":"1.24","Os":"linux","Arch":"amd64","GitCommit":"abc","GoVersion":"go1","BuildTime":"2026-01-02T03:04:05.000000000+00:00","Experimental":"false","KernelVersion":"6.1"}},{"Name":"runc","Version":"1.1","Details":{"GitCommit":"def"}}]}"#;

const NETWORKS: &str = r#"[{"Name":"host","Id":"1123456789abcdef","Created":"2026-01-02T03:04:05.6Z","Scope":"local","Driver":"host","EnableIPv6":false,"Labels":{}},{"Name":"bridge","Id":"0123456789abcdef","Created":"2026-01-02T03:04:05.6Z","Scope":"local","Driver":"bridge","EnableIPv4":true,"EnableIPv6":false,"Labels":{"a":"b"}}]"#;

const VOLUMES: &str = r#"{"Volumes":[{"CreatedAt":"2026-01-02T03:04:05Z","Driver":"local","Labels":{"a":"b"},"Mountpoint":"/m/v2","Name":"v2","Options":null,"Scope":"local"},{"CreatedAt":"2026-01-02T03:04:05Z","Driver":"local","Labels":null,"Mountpoint":"/m/v1","Name":"v1","Options":null,"Scope":"local"}],"Warnings":null}"#;

const DF: &str = r#"{"LayersSize":9123456,"Images":[{"Containers":1,"Created":1,"Id":"sha256:a","ParentId":"","RepoDigests":null,"RepoTags":["a:1"],"Labels":null,"SharedSize":1000000,"Size":5000000},{"Containers":0,"Created":1,"Id":"sha256:b","ParentId":"","RepoDigests":null,"RepoTags":["b:1"],"Labels":null,"SharedSize":1000000,"Size":5000000}],"Containers":[{"Id":"a","Names":["/a"],"SizeRw":1000,"State":"running"},{"Id":"b","Names":["/b"],"SizeRw":3456789,"State":"exited"}],"Volumes":[{"Name":"v","Driver":"local","Mountpoint":"/m","Labels":null,"Options":null,"Scope":"local","UsageData":{"RefCount":0,"Size":77}}],"BuildCache":[],"BuilderSize":0}"#;

const EVENTS: &str = "{\"status\":\"start\",\"id\":\"0123\",\"from\":\"alpine\",\"Type\":\"container\",\"Action\":\"start\",\"Actor\":{\"ID\":\"0123\",\"Attributes\":{\"image\":\"alpine\",\"name\":\"web\"}},\"scope\":\"local\",\"time\":1700000000,\"timeNano\":1700000000123456789}\n";

const TOP: &str = r#"{"Titles":["UID","PID","PPID","C","STIME","TTY","TIME","CMD"],"Processes":[["root","1","0","0","10:00","?","00:00:00","sh -c x"],["root","22","1","0","10:00","?","00:00:00","sleep 1000"]]}"#;

fn daemon(request: &Request) -> Option<Answer> {
    let ok = |json: &str| Some(Answer::Json(200, json.to_owned()));
    let gone = |what: &str| Some(Answer::Json(404, format!("{{\"message\":\"No such {what}\"}}")));
    match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/containers/json") => ok(&containers()),
        ("GET", "/images/json") => ok(IMAGES),
        ("GET", "/images/alpine/history") => ok(HISTORY),
        ("GET", "/containers/web/json") => ok(INSPECT),
        ("GET", "/containers/0123/json") => ok(INSPECT),
        ("GET", "/version") => ok(VERSION),
        ("GET", "/info") => ok("{}"),
        (_, path) if path.ends_with("/nosuch") => gone("thing: nosuch"),
        ("GET", "/networks") => ok(NETWORKS),
        ("GET", "/volumes") => ok(VOLUMES),
        ("GET", "/system/df") => ok(DF),
        ("GET", "/events") => Some(Answer::Raw("application/json", EVENTS.into())),
        ("GET", "/containers/web/top") => ok(TOP),
        ("GET", "/containers/web/changes") => {
            ok(r#"[{"Path":"/a","Kind":0},{"Path":"/b","Kind":1},{"Path":"/c","Kind":2}]"#)
        }
        ("POST", path) if path.starts_with("/containers/web/") => Some(Answer::Json(204, String::new())),
        ("DELETE", "/containers/web") => Some(Answer::Json(204, String::new())),
        ("DELETE", "/images/alpine") => ok(r#"[{"Untagged":"alpine:3.20"},{"Deleted":"sha256:aaaa"}]"#),
        (_, path) if path.starts_with("/containers/") => gone("container: nosuch"),
        (_, path) if path.starts_with("/images/") => gone("image: nosuch"),
        _ => None,
    }
}

/// Runs each line with both clients and collects the differences.
fn compare(lines: &[&[&str]]) {
    let fake = Fake::start(daemon);
    let mut report = String::new();
    for words in lines {
        let (theirs, ours) = (fake.docker(words), fake.berth(words));
        // The newest client says "SRun" in one place: a slip that is not part of the contract.
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace("SRun", "Run");
        for (name, one, other) in [
            ("stdout", text(&theirs.stdout), text(&ours.stdout)),
            ("stderr", text(&theirs.stderr), text(&ours.stderr)),
            ("code", format!("{:?}", theirs.status.code()), format!("{:?}", ours.status.code())),
        ] {
            if one != other {
                report.push_str(&format!("{words:?} {name}\n docker: {one:?}\n berth:  {other:?}\n"));
            }
        }
    }
    assert!(report.is_empty(), "\n{report}");
}

#[test]
fn ps() {
    compare(&[
        &["ps"],
        &["ps", "-a", "--no-trunc"],
        &["ps", "-q"],
        &["ps", "-s"],
        &["container", "ls", "--format", "{{.ID}}: {{.Names}} {{.Label \"a.b-c\"}}"],
        &["ps", "--format", "table {{.ID}}\\t{{.Names}}\\t{{.Label \"a.b-c\"}}\\t{{.Size}}"],
        &["ps", "--format", "json"],
        &["ps", "--format", "{{json .}}"],
        &["ps", "--format", "{{.Mounts}}|{{.LocalVolumes}}|{{.Networks}}|{{.Labels}}|{{.State}}"],
        &["ps", "--format", "{{upper .Names}} {{truncate .ID 3}} {{join (split .Image \":\") \"-\"}}"],
        &["ps", "--format", "{{.Foo}}"],
        &["ps", "--format", "{{.ID"],
        &["ps", "-f", "foo"],
    ]);
}

#[test]
fn images() {
    compare(&[
        &["images"],
        &["image", "ls", "--digests"],
        &["images", "-q"],
        &["images", "--no-trunc", "-a"],
        &["images", "--format", "json"],
        &["images", "--format", "table {{.Repository}}\\t{{.CreatedAt}}"],
        &["history", "alpine"],
        &["history", "--no-trunc", "alpine"],
        &["history", "-H=false", "alpine"],
        &["history", "-q", "alpine"],
        &["history", "--format", "json", "alpine"],
        &["rmi", "alpine"],
        &["rmi", "alpine", "nosuch"],
        &["rmi", "-f", "nosuch"],
        &["image", "inspect", "nosuch"],
    ]);
}

#[test]
fn inspect() {
    compare(&[
        &["inspect", "web"],
        &["container", "inspect", "web"],
        &["inspect", "-f", "{{.State.Pid}} {{.Name}}", "web"],
        &["inspect", "-f", "{{.Id}}", "web"],
        &["inspect", "-f", "{{.ID}}", "web"],
        &["inspect", "-f", "{{.State}}", "nosuch"],
        &["inspect", "-f", "{{json .Config.Env}}", "web"],
        &["inspect", "-f", "{{range .Config.Env}}{{println .}}{{end}}", "web"],
        &["inspect", "-f", "{{.NetworkSettings.Networks.bridge.IPAddress}}", "web"],
        &["inspect", "-f", "{{range $k, $v := .Config.Labels}}{{$k}}={{$v}};{{end}}", "web"],
        &["inspect", "-f", "{{(index (index .NetworkSettings.Ports \"80/tcp\") 0).HostPort}}", "web"],
        &["inspect", "-f", "{{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}", "web"],
        &["inspect", "-f", "{{.HostConfig.NanoCpus}} {{.HostConfig.Memory}} {{.Config.Cmd}}", "web"],
        &["inspect", "-f", "{{.Nope}}", "web"],
        &["inspect", "-f", "{{.State.Nope}}", "web"],
        &["container", "inspect", "nosuch"],
        &["inspect", "--type", "container", "nosuch"],
        &["inspect", "--type", "foo", "nosuch"],
    ]);
}

#[test]
fn objects_of_the_daemon() {
    compare(&[
        &["version", "--format", "{{.Server.Version}} {{.Server.APIVersion}} {{.Server.Os}}"],
        &["network", "ls"],
        &["network", "ls", "-q"],
        &["network", "ls", "--format", "json"],
        &["volume", "ls"],
        &["volume", "ls", "-q"],
        &["volume", "ls", "--format", "json"],
        &["system", "df"],
        &["system", "df", "--format", "json"],
        &["events", "--until", "1700000001"],
        &["events", "--until", "1700000001", "--format", "{{.Type}} {{.Action}} {{.Actor.Attributes.name}}"],
        &["events", "--until", "1700000001", "--format", "json"],
    ]);
}

#[test]
fn verbs() {
    compare(&[
        &["top", "web"],
        &["top", "web", "-o", "pid"],
        &["diff", "web"],
        &["port", "web"],
        &["port", "web", "80"],
        &["port", "web", "443"],
        &["port", "web", "x"],
        &["stop", "web"],
        &["stop", "-t", "3", "web", "nosuch"],
        &["kill", "-s", "HUP", "web"],
        &["start", "web", "nosuch"],
        &["restart", "nosuch"],
        &["pause", "web"],
        &["unpause", "nosuch"],
        &["rename", "web", "x"],
        &["rename", "nosuch", "x"],
        &["rm", "web"],
        &["rm", "-f", "nosuch"],
        &["rm", "nosuch"],
        &["exec", "nosuch", "x"],
        &["logs", "nosuch"],
        &["wait", "nosuch"],
        &["update", "web"],
        &["attach", "nosuch"],
        &["container", "prune"],
    ]);
}

#[test]
fn wrong_command_lines() {
    compare(&[
        &["ps", "foo"],
        &["run"],
        &["run", "--foo"],
        &["run", "-z", "a"],
        &["run", "--name"],
        &["run", "-e"],
        &["run", "--cpus", "x", "a"],
        &["run", "-m", "12q", "a"],
        &["run", "--rm=maybe", "a"],
        &["run", "-p", "99999:1", "a"],
        &["run", "--memory-swappiness", "200", "a"],
        &["run", "--ulimit", "foo", "a"],
        &["run", "--ulimit", "nofile=2:1", "a"],
        &["run", "--mount", "foo", "a"],
        &["run", "--attach", "foo", "a"],
        &["run", "-d", "-a", "stdout", "a"],
        &["run", "-d", "--rm", "--restart", "always", "a"],
        &["run", "--env-file", "/nonexistent", "a"],
        &["run", "--cidfile", "/etc/passwd", "a"],
        &["run", "-l", "=x", "a"],
        &["run", "--add-host", "foo", "a"],
        &["run", "--dns", "foo", "a"],
        &["run", "--health-cmd", "x", "--no-healthcheck", "a"],
        &["run", "--health-interval", "5", "a"],
        &["run", "--blkio-weight-device", "foo", "a"],
        &["run", "--device-read-bps", "foo", "a"],
        &["run", "--pull", "foo", "a"],
        &["run", "--sysctl", "foo", "a"],
        &["run", "--stop-timeout", "x", "a"],
        &["run", "--cgroupns", "foo", "a"],
        &["run", "--pid", "foo", "a"],
        &["run", "--userns", "foo", "a"],
        &["run", "--uts", "foo", "a"],
        &["run", "--expose", "foo", "a"],
        &["run", "--gpus", "foo=x", "a"],
        &["run", "--link", "::", "a"],
        &["run", "--storage-opt", "foo", "a"],
        &["run", "--security-opt", "foo", "a"],
        &["run", "--security-opt", "seccomp=/nonexistent", "a"],
        &["run", "-it", "a"],
        &["run", "--blkio-weight", "100000", "a"],
        &["run", "--mac-address", "foo", "a"],
        &["run", "--device-cgroup-rule", "foo", "a"],
        &["run", "--shm-size", "x", "a"],
        &["foo"],
        &["container", "foo"],
        &["help", "foo"],
        &["--foo", "ps"],
        &["-l", "foo", "ps"],
        &["logs"],
        &["exec", "a"],
        &["rename", "a"],
        &["port", "a", "b", "c"],
        &["images", "a", "b"],
        &["volume", "create", "a", "b"],
        &["inspect"],
        &["save"],
        &["import"],
    ]);
}
