//! Every flag of dockerd that we know, with its key in `daemon.json`.

/// What kind of value an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A word.
    Text,
    /// Yes or no; `--flag` alone means yes.
    Flag,
    /// An integer.
    Int,
    /// Words; the flag may be given several times.
    List,
    /// `name=value` words; an object of strings in the file.
    Map,
    /// A list of `name=value` words as a flag, a structure of its own in the file.
    Structure,
}

/// Whether an option does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It does.
    Works,
    /// It is refused for good, unless its value asks for nothing; [`refusal`] says why.
    Never,
}

/// One option.
#[derive(Debug)]
pub(super) struct Opt {
    /// The flag, without dashes; empty when only the file has it.
    pub(super) flag: &'static str,
    /// One-letter form.
    pub(super) short: Option<char>,
    /// The key in the file; empty when only flags have it.
    pub(super) key: &'static str,
    pub(super) kind: Kind,
    pub(super) state: State,
    pub(super) help: &'static str,
}

macro_rules! options {
    ($( $flag:literal $(/ $short:literal)? => $key:literal $kind:ident $state:ident $help:literal; )*) => {
        /// The table.
        pub(super) static OPTIONS: &[Opt] = &[$(
            Opt {
                flag: $flag,
                short: options!(@short $($short)?),
                key: $key,
                kind: Kind::$kind,
                state: State::$state,
                help: $help,
            },
        )*];
    };
    (@short) => { None };
    (@short $short:literal) => { Some($short) };
}

options! {
    "host"/'H' => "hosts" List Works "Address to listen on: unix://PATH, tcp://HOST:PORT or fd://";
    "data-root" => "data-root" Text Works "Directory of images, containers and volumes";
    "exec-root" => "exec-root" Text Works "Directory of state that ends with the machine";
    "pidfile"/'p' => "pidfile" Text Works "File that holds the daemon's process id";
    "debug"/'D' => "debug" Flag Works "Log at debug level";
    "log-level"/'l' => "log-level" Text Works "debug, info, warn, error or fatal";
    "log-format" => "log-format" Text Works "Form of the log: text or json";
    "raw-logs" => "raw-logs" Flag Works "No colour in the log";
    "group"/'G' => "group" Text Works "Group of the unix socket";
    "label" => "labels" List Works "Label of this daemon, NAME=VALUE";
    "shutdown-timeout" => "shutdown-timeout" Int Works "Seconds that requests get to finish at shutdown";
    "live-restore" => "live-restore" Flag Works "Containers outlive the daemon (always on)";

    "tls" => "tls" Flag Works "Serve TCP over TLS";
    "tlsverify" => "tlsverify" Flag Works "Serve TCP over TLS, and verify clients";
    "tlscacert" => "tlscacert" Text Works "Certificates that clients' are signed by";
    "tlscert" => "tlscert" Text Works "The daemon's certificate";
    "tlskey" => "tlskey" Text Works "The daemon's key";

    "add-runtime" => "runtimes" Structure Works "OCI runtime, NAME=PATH";
    "default-runtime" => "default-runtime" Text Works "Runtime of containers that name none";
    "init" => "init" Flag Works "Every container gets an init";
    "init-path" => "init-path" Text Works "The init's program";
    "cgroup-parent" => "cgroup-parent" Text Works "Cgroup above all containers";
    "exec-opt" => "exec-opts" List Works "native.cgroupdriver=cgroupfs or systemd";
    "default-cgroupns-mode" => "default-cgroupns-mode" Text Works "private or host";
    "default-ipc-mode" => "default-ipc-mode" Text Works "private or shareable";
    "default-shm-size" => "default-shm-size" Text Works "Size of /dev/shm";
    "default-ulimit" => "default-ulimits" Structure Works "NAME=SOFT[:HARD]";
    "no-new-privileges" => "no-new-privileges" Flag Works "Containers gain no privileges by exec";
    "seccomp-profile" => "seccomp-profile" Text Works "Seccomp profile file, or unconfined";
    "signature-policy" => "signature-policy" Text Works "File that says which images must be signed by whom";
    "selinux-enabled" => "selinux-enabled" Flag Works "Containers have SELinux's labels";
    "userns-remap" => "userns-remap" Text Works "User whose subordinate ids containers run with";
    "userns-auto-user" => "userns-auto-user" Text Works "User whose subordinate ids --userns=auto gives to containers";
    "oom-score-adjust" => "oom-score-adjust" Int Works "The daemon's own oom_score_adj";
    "cpu-rt-period" => "cpu-rt-period" Int Never "CPU real-time period of the parent cgroup";
    "cpu-rt-runtime" => "cpu-rt-runtime" Int Never "CPU real-time runtime of the parent cgroup";

    "storage-driver"/'s' => "storage-driver" Text Works "overlay2 or vfs";
    "keep-compressed-layers" => "keep-compressed-layers" Flag Works "Keep what is pulled compressed, too";
    "storage-opt" => "storage-opts" List Never "Storage option, NAME=VALUE";
    "log-driver" => "log-driver" Text Works "Log driver of containers that name none";
    "log-opt" => "log-opts" Map Works "Its options, NAME=VALUE";

    "bridge"/'b' => "bridge" Text Works "Bridge of the default network, or none";
    "bip" => "bip" Text Works "Address and prefix of the bridge";
    "bip6" => "bip6" Text Works "IPv6 address and prefix of the bridge";
    "fixed-cidr" => "fixed-cidr" Text Works "Addresses of the default network";
    "fixed-cidr-v6" => "fixed-cidr-v6" Text Works "IPv6 addresses of the default network";
    "default-gateway" => "default-gateway" Text Works "Gateway of the default network";
    "default-gateway-v6" => "default-gateway-v6" Text Works "IPv6 gateway of the default network";
    "default-address-pool" => "default-address-pools" Structure Works "base=CIDR,size=PREFIX";
    "default-network-opt" => "default-network-opts" Structure Works "Option of new networks, DRIVER=NAME=VALUE";
    "dns" => "dns" List Works "Name server";
    "dns-opt" => "dns-opts" List Works "Resolver option";
    "dns-search" => "dns-search" List Works "Search domain";
    "host-gateway-ip" => "host-gateway-ip" Text Works "What host-gateway means in --add-host";
    "mtu" => "mtu" Int Works "MTU of containers' networks";
    "icc" => "icc" Flag Works "Containers may talk to each other";
    "ip" => "ip" Text Works "Host address of published ports";
    "ip-forward" => "ip-forward" Flag Works "Turn packet forwarding on";
    "ip-masq" => "ip-masq" Flag Works "Masquerade packets that leave the bridge";
    "iptables" => "iptables" Flag Works "Make firewall rules";
    "ip6tables" => "ip6tables" Flag Works "Make IPv6 firewall rules";
    "ipv6" => "ipv6" Flag Works "IPv6 on the default network";
    "userland-proxy" => "userland-proxy" Flag Works "Serve published ports in user space where the kernel can't";
    "userland-proxy-path" => "userland-proxy-path" Text Works "Refused: no program of its own does so";
    "publish-mode" => "publish-mode" Text Works "Way of published ports through the host's firewall: forward or input";

    "cluster-store" => "cluster-store" Text Works "Store of networks that hosts share, etcd://HOST:PORT[,HOST:PORT][/PATH]";
    "cluster-advertise" => "cluster-advertise" Text Works "Where other hosts reach this one, IP:PORT or INTERFACE:PORT";
    "cluster-store-opt" => "cluster-store-opts" Map Works "Option of the store, NAME=VALUE";

    "registry-mirror" => "registry-mirrors" List Works "Mirror of Docker Hub";
    "insecure-registry" => "insecure-registries" List Works "Registry that needs no TLS";
    "max-concurrent-downloads" => "max-concurrent-downloads" Int Works "Layers pulled at once";
    "max-concurrent-uploads" => "max-concurrent-uploads" Int Works "Layers pushed at once";
    "max-download-attempts" => "max-download-attempts" Int Works "Tries for each layer";
    "allow-nondistributable-artifacts" => "allow-nondistributable-artifacts" List Works "Registries that foreign layers are pushed to";
    "http-proxy" => "http-proxy" Text Works "Proxy for registries";
    "https-proxy" => "https-proxy" Text Works "Proxy for registries";
    "no-proxy" => "no-proxy" Text Works "Hosts that need no proxy";
    "experimental" => "experimental" Flag Works "Tell clients that experimental features may be used";

    "authorization-plugin" => "authorization-plugins" List Works "Plugin that says which requests are answered";
    "containerd" => "containerd" Text Never "Socket of a containerd";
    "metrics-addr" => "metrics-addr" Text Works "Address that metrics are served on, [HOST]:PORT";
    "node-generic-resource" => "node-generic-resources" List Never "Resource of a swarm node";
    "swarm-default-advertise-addr" => "swarm-default-advertise-addr" Text Never "Address of a swarm node";
    "" => "builder" Structure Works "How large the build cache may grow";
    "" => "features" Structure Works "Switches of single features";
    "" => "proxies" Structure Works "Proxies for registries, by flag";
    "cdi-spec-dir" => "cdi-spec-dirs" List Works "Directory of CDI specifications";
}

/// Why an option is refused for good, and what does its work.
pub(super) fn refusal(key: &str) -> &'static str {
    match key {
        "containerd" => "is refused: Berth runs containers itself and needs no containerd",
        "node-generic-resources" | "swarm-default-advertise-addr" => {
            "is refused: Swarm is out of scope for Berth; use Kubernetes"
        }
        "cpu-rt-period" | "cpu-rt-runtime" => {
            "is refused: real-time group scheduling exists on cgroup v1 alone, and only kernels with \
             CONFIG_RT_GROUP_SCHED have it; give a container --ulimit rtprio and --cap-add SYS_NICE"
        }
        "storage-opts" => {
            "is refused: no option of Docker's changes anything here: overlay2 needs no kernel check, and a \
             container's size is limited by --storage-opt of run"
        }
        _ => "is refused",
    }
}

/// The option of a key in the file.
pub(super) fn by_key(key: &str) -> Option<&'static Opt> {
    OPTIONS.iter().find(|option| option.key == key)
}
