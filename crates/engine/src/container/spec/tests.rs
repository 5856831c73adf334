//! The specification as a whole: Docker's defaults, and what options change.

use std::collections::BTreeMap;
use std::sync::Arc;

use oci_spec::runtime::{LinuxNamespaceType, Spec};

use super::*;
use crate::container::security::Options;
use crate::container::{ContainerConfig, HostConfig, State};

pub(crate) fn container(config: ContainerConfig, host: HostConfig) -> Container {
    Container {
        id: "ab".repeat(32),
        name: "test".into(),
        created: jiff::Timestamp::now(),
        image_id: String::new(),
        os: "linux".into(),
        path: "sh".into(),
        args: vec!["-c".into(), "true".into()],
        config: Arc::new(config),
        host: Arc::new(host),
        networking: Arc::default(),
        state: State::Created { failure: None },
        restart_count: 0,
        run: 0,
        stopped_by_hand: false,
        restart_cancelled: false,
        network: Default::default(),
        mounts: Vec::new(),
        storage_driver: String::new(),
        health: None,
        log_path: None,
        hostname_path: PathBuf::new(),
        hosts_path: PathBuf::new(),
        resolv_conf_path: PathBuf::new(),
        system: false,
        ids: None,
        links: Vec::new(),
        process_label: String::new(),
        mount_label: String::new(),
        exec_ids: Vec::new(),
    }
}

fn spec_of(config: ContainerConfig, host: HostConfig, files: &[FileMount]) -> Spec {
    let container = container(config, host);
    let modes = Modes {
        network: NetworkMode::parse(&container.host.network_mode).unwrap(),
        pid: crate::container::mode::parse_pid(&container.host.pid_mode).unwrap(),
        ipc: crate::container::mode::parse_ipc(&container.host.ipc_mode, "").unwrap(),
        uts: crate::container::mode::parse_host_only("UTS", &container.host.uts_mode).unwrap(),
        cgroup: NamespaceMode::Host,
    };
    build(&Inputs {
        container: &container,
        modes: &modes,
        user: &Identity { home: "/root".into(), ..Identity::default() },
        joins: &Joins::default(),
        devices: &[],
        block_devices: &BTreeMap::new(),
        files,
        default_ulimits: &[],
        last_gid: i32::MAX.unsigned_abs(),
        rootless: false,
        cgroup_v2: false,
        cgroup: "/berth/x",
        seccomp: None,
        security: &Options::default(),
        labels: &Default::default(),
        shm_size: 64 << 20,
        hostname: "box",
        init: None,
        linked: &[],
        injected: &Default::default(),
    })
    .unwrap()
}

fn namespaces(spec: &Spec) -> Vec<LinuxNamespaceType> {
    let list = spec.linux().as_ref().unwrap().namespaces().clone().unwrap();
    list.iter().map(oci_spec::runtime::LinuxNamespace::typ).collect()
}

fn destinations(spec: &Spec) -> Vec<String> {
    spec.mounts().as_ref().unwrap().iter().map(|mount| mount.destination().display().to_string()).collect()
}

#[test]
fn a_plain_container_is_dockers() {
    let spec = spec_of(ContainerConfig::default(), HostConfig::default(), &[]);
    assert_eq!(
        destinations(&spec),
        ["/proc", "/dev", "/dev/pts", "/sys", "/sys/fs/cgroup", "/dev/mqueue", "/dev/shm"]
    );
    let process = spec.process().as_ref().unwrap();
    assert_eq!(process.args().as_ref().unwrap(), &["sh", "-c", "true"]);
    assert_eq!(process.env().as_ref().unwrap()[1..], ["HOSTNAME=box", "HOME=/root"]);
    let capabilities = process.capabilities().as_ref().unwrap();
    assert_eq!(capabilities.bounding().as_ref().unwrap().len(), 14);
    assert!(capabilities.inheritable().as_ref().unwrap().is_empty());
    assert_eq!(namespaces(&spec).len(), 5);
    assert_eq!(spec.linux().as_ref().unwrap().masked_paths().as_ref().unwrap().len(), 12);
    assert_eq!(spec.hostname().as_deref(), Some("box"));
}

#[test]
fn the_privileged_see_everything() {
    let host = HostConfig { privileged: true, ..HostConfig::default() };
    let spec = spec_of(ContainerConfig::default(), host, &[]);
    let linux = spec.linux().as_ref().unwrap();
    assert!(linux.masked_paths().as_ref().unwrap().is_empty());
    let sys =
        spec.mounts().as_ref().unwrap().iter().find(|mount| mount.destination().ends_with("sys")).unwrap();
    assert!(sys.options().as_ref().unwrap().contains(&"rw".to_owned()));
    assert_eq!(linux.resources().as_ref().unwrap().devices().as_ref().unwrap().len(), 1);
}

#[test]
fn the_hosts_namespaces_are_left_out() {
    let host = HostConfig {
        network_mode: "host".into(),
        pid_mode: "host".into(),
        ipc_mode: "host".into(),
        uts_mode: "host".into(),
        ..HostConfig::default()
    };
    let spec = spec_of(ContainerConfig::default(), host, &[]);
    assert_eq!(namespaces(&spec), [LinuxNamespaceType::Mount]);
    assert!(spec.hostname().is_none());
    assert!(spec.linux().as_ref().unwrap().sysctl().as_ref().unwrap().is_empty());
}

#[test]
fn a_mount_of_the_request_replaces_the_standard_one_and_parents_come_first() {
    let file = |destination: &str| FileMount {
        source: Some("/x".into()),
        destination: destination.into(),
        options: vec!["rbind".into()],
    };
    let files = [file("/a/b"), file("/a"), file("/dev/shm")];
    let spec = spec_of(ContainerConfig::default(), HostConfig::default(), &files);
    let destinations = destinations(&spec);
    assert_eq!(destinations.iter().filter(|path| *path == "/dev/shm").count(), 1);
    let place = |wanted: &str| destinations.iter().position(|path| path == wanted).unwrap();
    assert!(place("/a") < place("/a/b"));
}

#[test]
fn variables_override_in_place_and_a_bare_name_removes() {
    let config = ContainerConfig {
        tty: true,
        env: vec!["PATH=/x".into(), "HOSTNAME".into(), "A=1".into(), "HOME=/h".into()],
        ..ContainerConfig::default()
    };
    assert_eq!(
        process::environment(&config, "box", "/root", &[]),
        ["PATH=/x", "TERM=xterm", "A=1", "HOME=/h"]
    );
}
