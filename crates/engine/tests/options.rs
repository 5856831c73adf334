//! Options of `run`, seen from inside.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test that fails says where")]

mod common;

use common::Bench;
use engine::Kind;
use engine::container::{Resources, Update};

async fn prints(bench: &Bench, request: engine::container::CreateRequest) -> String {
    let (id, end) = bench.run(request).await;
    let output = bench.output(&id).await;
    assert_eq!(end.code, 0, "{output} {:?}", end.error);
    output
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_init_reaps_and_hands_on() {
    let bench = Bench::new().await;
    let mut request = Bench::request("", "cat /proc/1/comm; test $$ != 1 && exit 5");
    request.host.init = Some(true);
    let (id, end) = bench.run(request).await;
    assert_eq!((end.code, bench.output(&id).await.as_str()), (5, "docker-init\n"));
    let mut request = Bench::request("", "trap 'exit 6' TERM; echo up; while :; do sleep 0.05; done");
    request.host.init = Some(true);
    let id = bench.create(request).await;
    bench.engine.container_start(&id).await.unwrap();
    while !bench.output(&id).await.contains("up") {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    bench.engine.container_stop(&id, Default::default()).await.unwrap();
    assert_eq!(bench.engine.container_inspect(&id).unwrap().state.exit_code(), 6);
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_arrive_in_the_cgroup_and_can_change() {
    let bench = Bench::new().await;
    let mut request = Bench::request("", "sleep 100");
    request.host.resources = Resources { memory: 64 << 20, pids_limit: Some(50), ..Default::default() };
    let id = bench.create(request).await;
    bench.engine.container_start(&id).await.unwrap();
    let of = |controller: &str, file: &str| {
        let group = format!("{}/{id}", bench.cgroup_parent());
        // the kernel has one hierarchy, or one for each controller
        let both = [format!("{controller}/{group}/{file}"), format!("{group}/{file}")];
        let found =
            both.iter().find_map(|path| std::fs::read_to_string(format!("/sys/fs/cgroup/{path}")).ok());
        found.map(|text| text.trim().to_owned())
    };
    let limit = || of("memory", "memory.limit_in_bytes").or_else(|| of("memory", "memory.max")).unwrap();
    assert_eq!(limit(), (64_u64 << 20).to_string());
    assert_eq!(of("pids", "pids.max").as_deref(), Some("50"));
    let resources = Resources { memory: 32 << 20, memory_swap: -1, ..Default::default() };
    bench.engine.container_update(&id, Update { resources, ..Update::default() }).await.unwrap();
    assert_eq!(limit(), (32_u64 << 20).to_string());
    let wrong = Update { resources: Resources { memory: 1, ..Default::default() }, ..Update::default() };
    assert_eq!(bench.engine.container_update(&id, wrong).await.unwrap_err().kind(), Kind::BadParameter);
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_environment_and_rights_are_as_asked() {
    let bench = Bench::new().await;
    let mut request =
        Bench::request("", "id; pwd; echo $A $HOME; grep -E 'CapEff|NoNewPrivs' /proc/self/status");
    request.config.user = "nobody".into();
    request.config.working_dir = "/made/here".into();
    request.config.env = vec!["A=b".into()];
    request.host.group_add = vec!["1234".into()];
    request.host.security_opt = vec!["no-new-privileges".into()];
    let output = prints(&bench, request).await;
    assert!(output.contains("uid=65534"), "{output}");
    assert!(output.contains("1234"), "{output}");
    assert!(output.contains("/made/here\n"), "{output}");
    assert!(output.contains("CapEff:\t0000000000000000\nNoNewPrivs:\t1"), "{output}");
    let mut request = Bench::request("", "true");
    request.config.user = "4294967296".into();
    let id = bench.create(request).await;
    assert!(bench.engine.container_start(&id).await.is_err());
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mounts_volumes_and_tmpfs_are_there() {
    let bench = Bench::new().await;
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("f"), "from the host\n").unwrap();
    let script = "cat /b/f; (echo x > /b/f) 2>/dev/null && echo writable; ls /vol | head -1; touch /vol/new; \
                  grep ' /t ' /proc/mounts | cut -d' ' -f3; touch /ro 2>/dev/null || echo readonly; df -k /dev/shm | tail -1 | awk '{print $2}'";
    let mut request = Bench::request("", script);
    request.host.binds =
        vec![format!("{}:/b:ro", directory.path().display()), "named:/etc/vol/../../vol".into()];
    request.host.tmpfs = [("/t".to_owned(), "size=1m".to_owned())].into();
    request.host.readonly_rootfs = true;
    request.host.shm_size = 1 << 20;
    let output = prints(&bench, request).await;
    assert_eq!(output, "from the host\ntmpfs\nreadonly\n1024\n");
    assert!(bench.data().join("volumes/named/_data/new").exists());
    let mut request = Bench::request("", "ls /bin | wc -l; ls /bin/sh");
    request.host.binds = vec!["filled:/bin".into()];
    assert!(prints(&bench, request).await.ends_with("/bin/sh\n"));
    assert!(bench.data().join("volumes/filled/_data/sh").symlink_metadata().is_ok());
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn namespaces_can_be_shared() {
    let bench = Bench::new().await;
    let mut donor = Bench::request("donor", "echo secret > /dev/shm/s; exec sleep 100");
    donor.host.ipc_mode = "shareable".into();
    let id = bench.create(donor).await;
    bench.engine.container_start(&id).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    let mut guest =
        Bench::request("", "cat /dev/shm/s; readlink /proc/self/ns/net; ps | grep -c 'sleep 100'");
    guest.host.ipc_mode = "container:donor".into();
    guest.host.network_mode = "container:donor".into();
    guest.host.pid_mode = "container:donor".into();
    let output = prints(&bench, guest).await;
    let pid = bench.engine.container_inspect(&id).unwrap().state.pid();
    let namespace = std::fs::read_link(format!("/proc/{pid}/ns/net")).unwrap();
    assert!(output.starts_with(&format!("secret\n{}\n", namespace.display())), "{output}");
    let mut host = Bench::request("", "hostname; readlink /proc/self/ns/net");
    host.host.network_mode = "host".into();
    let own = std::fs::read_link("/proc/self/ns/net").unwrap();
    assert!(prints(&bench, host).await.ends_with(&format!("{}\n", own.display())));
    bench.finish().await;
}
