use super::*;
use crate::listen::Address;

fn settings(words: &[&str], file: &str) -> Result<Settings, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("daemon.json");
    std::fs::write(&path, file).unwrap();
    let args = ["berthd", "--config-file", path.to_str().unwrap()].into_iter().chain(words.iter().copied());
    let asked = read(args.map(OsString::from)).map_err(|error| format!("{error:#}"))?;
    let Asked::Serve(source) = asked else { panic!("nothing to serve") };
    source.settings().map_err(|error| format!("{error:#}"))
}

fn refused(words: &[&str], file: &str) -> String {
    settings(words, file).err().unwrap()
}

#[test]
fn flags_and_file_reach_the_engine() {
    let file = r#"{"log-driver": "none", "default-ulimits": {"nofile": {"Name": "nofile", "Soft": 1, "Hard": 2}},
        "runtimes": {"crun": {"path": "/usr/bin/crun", "runtimeArgs": ["--debug"]}}, "debug": true,
        "default-address-pools": [{"base": "10.0.0.0/8", "size": 24}], "features": {}}"#;
    let words = ["-H", "unix:///a/b.sock", "--label=a=b", "--bip", "10.1.0.1/16", "--icc=false", "--init"];
    let settings = settings(&words, file).unwrap();
    assert_eq!(settings.hosts, [Address::Unix("/a/b.sock".into())]);
    let engine = settings.engine;
    assert_eq!(engine.log.driver, "none");
    assert_eq!(engine.default_ulimits[0].hard, 2);
    assert_eq!(engine.runtimes["crun"].args, ["--debug"]);
    assert_eq!(engine.bridge.address_pools, [("10.0.0.0/8".to_owned(), 24)]);
    assert_eq!(engine.bridge.bip, "10.1.0.1/16");
    assert_eq!((engine.bridge.icc, engine.init, engine.debug), (false, true, true));
    assert_eq!(engine.labels, ["a=b"]);
}

#[test]
fn structures_as_flags() {
    let words = ["--add-runtime", "x=/x", "--default-ulimit", "nofile=3:4", "--default-address-pool"];
    let settings = settings(&[&words[..], &["base=10.0.0.0/8,size=20"]].concat(), "").unwrap();
    assert_eq!(settings.engine.runtimes["x"].path, "/x");
    assert_eq!(settings.engine.default_ulimits[0].soft, 3);
    assert_eq!(settings.engine.bridge.address_pools[0].1, 20);
}

#[test]
fn options_of_new_networks() {
    let words = ["--default-network-opt=bridge=com.docker.network.driver.mtu=1234"];
    let more = ["--default-network-opt", "bridge=a=b=c", "--default-network-opt", "macvlan=x="];
    let flags = settings(&[&words[..], &more[..]].concat(), "").unwrap().engine.network_options;
    assert_eq!(flags["bridge"]["com.docker.network.driver.mtu"], "1234");
    assert_eq!((flags["bridge"]["a"].as_str(), flags["macvlan"]["x"].as_str()), ("b=c", ""));
    let file = r#"{"default-network-opts": {"bridge": {"com.docker.network.driver.mtu": "1234"}}}"#;
    assert_eq!(settings(&[], file).unwrap().engine.network_options["bridge"].len(), 1);
    assert!(refused(&["--default-network-opt", "mtu=1"], "").contains("DRIVER=NAME=VALUE"));
    assert!(refused(&[], r#"{"default-network-opts": {"bridge": "x"}}"#).contains("default-network-opts"));
}

#[test]
fn what_is_unknown_is_named() {
    assert!(refused(&["--colour"], "").contains("--colour"));
    let error = refused(&[], r#"{"colour": 1, "debug": true, "shape": 2}"#);
    assert!(error.ends_with("directives don't match any configuration option: colour, shape"), "{error}");
    assert!(refused(&[], "{").contains("daemon.json"));
    assert!(refused(&[], "[]").contains("no JSON object"));
}

#[test]
fn what_stands_twice_is_refused() {
    let error = refused(&["--debug"], r#"{"debug": false}"#);
    assert!(error.contains("debug: (from flag: true, from file: false)"), "{error}");
}

#[test]
fn what_is_not_done_is_refused_unless_it_asks_for_nothing() {
    assert!(refused(&[], r#"{"containerd": "x"}"#).contains("needs no containerd"));
    assert!(settings(&["--containerd="], r#"{"metrics-addr": "", "experimental": false}"#).is_ok());
}

#[test]
fn labels_are_given_when_they_are_asked_for() {
    let enabled = |flags: &[&str], file: &str| settings(flags, file).unwrap().engine.selinux_enabled;
    assert!(enabled(&["--selinux-enabled"], "") && enabled(&[], r#"{"selinux-enabled": true}"#));
    assert!(!enabled(&[], "") && !enabled(&["--selinux-enabled=false"], ""));
}

#[test]
fn whose_ids_single_containers_get() {
    assert_eq!(settings(&[], "").unwrap().engine.userns_auto_user, "containers");
    assert_eq!(settings(&[], r#"{"userns-auto-user": "u"}"#).unwrap().engine.userns_auto_user, "u");
}

#[test]
fn registries() {
    let file = r#"{"registry-mirrors": ["https://m.example"], "max-concurrent-downloads": 7,
        "insecure-registries": ["r.example:5000", "10.0.0.0/8"], "allow-nondistributable-artifacts": ["r.example"],
        "proxies": {"http-proxy": "http://p:1", "https-proxy": "http://p:2", "no-proxy": "x"}}"#;
    let registries = settings(&["--max-concurrent-uploads=2", "--max-download-attempts", "1"], file)
        .unwrap()
        .engine
        .registries;
    assert_eq!(registries.mirrors, ["https://m.example"]);
    assert_eq!(registries.insecure, ["r.example:5000", "10.0.0.0/8"]);
    assert_eq!((registries.max_downloads, registries.max_uploads, registries.max_attempts), (7, 2, 1));
    assert_eq!((registries.http_proxy.as_str(), registries.no_proxy.as_str()), ("http://p:1", "x"));
    let defaults = settings(&[], "").unwrap().engine.registries;
    assert_eq!((defaults.max_downloads, defaults.max_uploads, defaults.max_attempts), (3, 5, 5));
    assert_eq!(refused(&["--max-concurrent-downloads=-1"], ""), "invalid max concurrent downloads: -1");
    assert_eq!(refused(&["--max-download-attempts=0"], ""), "invalid max download attempts: 0");
    assert!(refused(&["--registry-mirror", "ftp://m"], "").contains("ftp://m"));
    assert!(refused(&["--insecure-registry", "a b"], "").contains("a b"));
    assert!(refused(&["--http-proxy", "x://y"], "").contains("proxy"));
    assert!(
        refused(&["--http-proxy", "http://a"], r#"{"proxies": {"http-proxy": "http://b"}}"#)
            .contains("given twice")
    );
    assert!(refused(&[], r#"{"proxies": {"ftp-proxy": "x"}}"#).contains("ftp-proxy"));
}

#[test]
fn wrong_values_are_named() {
    assert!(refused(&["--mtu", "many"], "").contains("--mtu"));
    assert!(refused(&["--icc=maybe"], "").contains("--icc"));
    assert!(
        refused(&["--icc=false"], r#"{"iptables": false}"#).contains("--iptables=false with --icc=false")
    );
    assert!(refused(&["--log-level", "loud"], "").contains("invalid logging level: loud"));
    assert!(refused(&["--label", "a"], "").contains("\"a\""));
    assert!(refused(&["-H", "ftp://x"], "").contains("ftp://x"));
    assert!(refused(&["--exec-opt", "native.cgroupdriver=x"], "").contains("cgroupdriver"));
    assert!(refused(&[], r#"{"mtu": "1500"}"#).contains("directive \"mtu\""));
    assert!(refused(&["--bridge", "b", "--bip", "10.0.0.1/8"], "").contains("mutually exclusive"));
}

#[test]
fn tls_is_on_when_it_is_asked_for() {
    let tcp = |words: &[&str]| settings(words, "").unwrap().tcp;
    assert_eq!(tcp(&["--tlscert", "/c"]), TcpSecurity::Unsaid);
    assert_eq!(tcp(&["--tls=false", "--tlsverify"]), TcpSecurity::Clear);
    let TcpSecurity::Tls(open) = tcp(&["--tls", "--tlscert", "/c", "--tlskey", "/k"]) else {
        panic!("no TLS")
    };
    assert_eq!((open.cert, open.key, open.client_ca), ("/c".into(), "/k".into(), None));
    let TcpSecurity::Tls(closed) = tcp(&["--tlsverify", "--tlscacert", "/a"]) else { panic!("no TLS") };
    assert_eq!(closed.client_ca, Some("/a".into()));
}

#[test]
fn features_and_forms() {
    let features = |text: &str| settings(&[], &format!("{{\"features\": {text}}}"));
    assert!(features(r#"{"buildkit": true, "cdi": true}"#).unwrap().buildkit);
    assert!(!features(r#"{"buildkit": false, "containerd-snapshotter": false}"#).unwrap().buildkit);
    for (wrong, words) in [
        (r#"{"containerd-snapshotter": true}"#, "no containerd"),
        (r#"{"cdi": false}"#, "can't be turned off"),
        (r#"{"buildkit": 1}"#, "true or false"),
        (r#"{"colour": true}"#, "unknown feature"),
    ] {
        assert!(features(wrong).err().unwrap().contains(words), "{wrong}");
    }
    assert_eq!(settings(&["--log-format=json"], "").unwrap().log, LogForm::Json);
    assert!(refused(&["--log-format=xml"], "").contains("must be text or json"));
    assert!(refused(&["--oom-score-adjust=1001"], "").contains("from -1000 to 1000"));
    assert_eq!(settings(&["--oom-score-adjust=-5"], "").unwrap().oom_score, Some(-5));
}

#[test]
fn sizes() {
    assert_eq!(parse::bytes("64M"), Some(64 << 20));
    assert_eq!(parse::bytes("1g"), Some(1 << 30));
    assert_eq!(parse::bytes("2KiB"), Some(2048));
    assert_eq!(parse::bytes("12"), Some(12));
    assert_eq!(parse::bytes("much"), None);
    assert_eq!(parse::bytes("9999999999999999999"), None);
}

#[test]
fn keys_and_flags_are_unique() {
    let mut keys: Vec<_> = table::OPTIONS.iter().map(|option| option.key).collect();
    let count = keys.len();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), count);
}

#[test]
fn a_reload_names_what_it_does_not_change() {
    let before = settings(&[], r#"{"mtu": 1400, "debug": true, "icc": false}"#).unwrap().given();
    let after = settings(&[], r#"{"mtu": 1500, "debug": false, "labels": ["a=b"], "dns": ["1.1.1.1"]}"#);
    assert_eq!(after.unwrap().fixed(&before), ["dns", "icc", "mtu"]);
}

#[test]
fn what_cannot_be_had_is_refused() {
    assert!(refused(&[], r#"{"live-restore": false}"#).contains("live-restore=false"));
    assert!(settings(&["--live-restore"], "").is_ok());
}
