use super::*;

fn read(json: &str) -> Result<Settings, Error> {
    settings(&serde_json::from_str(json).unwrap(), Purpose::Update)
}

#[test]
fn nothing_asked_is_nothing_set() {
    assert_eq!(read("{}").unwrap(), Settings::default());
    let zeros = r#"{"cpu":{"shares":0,"quota":0,"period":0,"cpus":"","mems":""},"memory":{"limit":0,"swap":0},
        "pids":{"limit":0},"blockIO":{"weight":0},"devices":[]}"#;
    assert_eq!(read(zeros).unwrap(), Settings::default());
}

#[test]
fn what_docker_asks() {
    let settings = read(
        r#"{"cpu":{"shares":512,"quota":50000,"period":100000,"cpus":"0-1"},
            "memory":{"limit":67108864,"swap":-1,"reservation":33554432,"disableOOMKiller":false},
            "pids":{"limit":-1},
            "blockIO":{"weight":500,"throttleReadBpsDevice":[{"major":8,"minor":0,"rate":1048576}]}}"#,
    )
    .unwrap();
    assert_eq!(settings.cpu.shares, Some(512));
    assert_eq!(settings.cpu.quota, Some(Limit::At(50_000)));
    assert_eq!(settings.cpuset.cpus.as_deref(), Some("0-1"));
    assert_eq!(settings.memory.limit, Some(Limit::At(67_108_864)));
    assert_eq!(settings.memory.swap, Some(Limit::Max));
    assert_eq!(settings.pids, Some(Limit::Max));
    assert_eq!(settings.block_io.read_bps, [DeviceRate { device: (8, 0), rate: 1_048_576 }]);
    assert_eq!(settings.devices, None);
}

#[test]
fn nonsense_is_named() {
    for (json, name) in [
        (r#"{"cpu":{"quota":999}}"#, "cpu.quota"),
        (r#"{"cpu":{"period":999}}"#, "cpu.period"),
        (r#"{"cpu":{"period":1000001}}"#, "cpu.period"),
        (r#"{"cpu":{"quota":1000,"burst":2000}}"#, "cpu.burst"),
        (r#"{"cpu":{"idle":2}}"#, "cpu.idle"),
        (r#"{"cpu":{"cpus":"0-"}}"#, "cpu.cpus"),
        (r#"{"cpu":{"cpus":"3-1"}}"#, "cpu.cpus"),
        (r#"{"cpu":{"mems":"zero"}}"#, "cpu.mems"),
        (r#"{"memory":{"limit":1048576,"swap":1048575}}"#, "memory.swap"),
        (r#"{"memory":{"limit":-1,"swap":1048576}}"#, "memory.swap"),
        (r#"{"memory":{"limit":1048576,"reservation":2097152}}"#, "memory.reservation"),
        (r#"{"memory":{"swappiness":101}}"#, "memory.swappiness"),
        (r#"{"memory":{"kernel":1}}"#, "memory.kernel"),
        (r#"{"blockIO":{"weight":9}}"#, "blockIO.weight"),
        (
            r#"{"blockIO":{"throttleReadBpsDevice":[{"major":-1,"minor":0,"rate":1}]}}"#,
            "blockIO.throttle.major",
        ),
        (r#"{"hugepageLimits":[{"pageSize":"../2MB","limit":1}]}"#, "hugepageLimits.pageSize"),
        (r#"{"hugepageLimits":[{"pageSize":"2MB","limit":-1}]}"#, "hugepageLimits.limit"),
        (r#"{"devices":[{"allow":true,"access":"x"}]}"#, "devices.access"),
        (r#"{"devices":[{"allow":true,"type":"p","access":"r"}]}"#, "devices.type"),
    ] {
        assert_eq!(read(json).unwrap_err().name, name, "{json}");
    }
    assert!(read(r#"{"cpu":{"cpus":"0-15:2/4,17"}}"#).is_ok());
}

#[test]
fn a_new_container_has_its_usual_devices_after_the_list() {
    let json = r#"{"devices":[{"allow":false,"access":"rwm"},{"allow":true,"type":"b","major":8,"minor":-1,"access":"r"}]}"#;
    let resources = serde_json::from_str(json).unwrap();
    let rules = settings(&resources, Purpose::Create).unwrap().devices.unwrap();
    assert_eq!(rules.len(), 2 + 2 + ALWAYS.len());
    assert!(!rules[0].allow && rules[0].kind == DeviceKind::All);
    assert_eq!((rules[1].major, rules[1].minor, rules[1].access), (Some(8), None, DeviceAccess::READ));
    let none = settings(&LinuxResources::default(), Purpose::Create).unwrap().devices.unwrap();
    assert_eq!(none.len(), 2 + ALWAYS.len());
}
