//! The flags of `berth build`.

use crate::flag::Flag;

/// All of them.
pub(crate) const FLAGS: &[Flag] = &[
    Flag::list("add-host", "Add a host name and its address (host:ip)"),
    Flag::list("allow", "Allow what a build may not do by itself (\"network.host\", \"security.insecure\")")
        .ty("stringArray"),
    Flag::list("annotation", "Add an annotation to the image").ty("stringArray"),
    Flag::list("attest", "Attestations of the image (\"type=sbom\", \"type=provenance\")").ty("stringArray"),
    Flag::list("build-arg", "Set a variable for the build"),
    Flag::list("build-context", "Another context, by name (name=path|image|URL)").ty("stringArray"),
    Flag::string("builder", "Builder that is used (only \"default\")"),
    Flag::list(
        "cache-from",
        "Where earlier results may be found (\"type=registry,ref=…\", \"type=local,src=…\")",
    )
    .ty("stringSlice"),
    Flag::list(
        "cache-to",
        "Where results are kept for later (\"type=inline\", \"type=registry,ref=…\", \"type=local,dest=…\")",
    )
    .ty("stringArray"),
    Flag::string("call", "What is done with the Dockerfile (\"build\", \"check\")").default("build"),
    Flag::string("cgroup-parent", "Parent of the build's cgroups"),
    Flag::bool("check", "Only look for what is wrong with the Dockerfile"),
    Flag::bool("compress", "Compress the context"),
    Flag::int("cpu-period", "CPU quota's period").ty("int64").shows("0"),
    Flag::int("cpu-quota", "CPU quota").ty("int64").shows("0"),
    Flag::int("cpu-shares", "Weight among those who want the CPU").short('c').ty("int64").shows("0"),
    Flag::string("cpuset-cpus", "CPUs that may be used (0-3, 0,1)"),
    Flag::string("cpuset-mems", "Memory nodes that may be used (0-3, 0,1)"),
    Flag::string("file", "The Dockerfile (default \"PATH/Dockerfile\")").short('f'),
    Flag::bool("force-rm", "Remove intermediate containers even if the build fails"),
    Flag::string("iidfile", "File for the image's id"),
    Flag::string("isolation", "How a container is isolated"),
    Flag::list("label", "Add a label to the image"),
    Flag::bool("load", "Keep the image in the daemon (as without --output)"),
    Flag::bytes("memory", "Memory limit").short('m').shows("0"),
    Flag::bytes("memory-swap", "Limit of memory and swap together, -1 for none")
        .shows("0")
        .check(crate::flag::check::swap),
    Flag::string("metadata-file", "File for what is known of the result"),
    Flag::string("network", "Network of RUN instructions").default("default"),
    Flag::bool("no-cache", "Use no earlier results"),
    Flag::list("no-cache-filter", "Use no earlier results of these stages").ty("stringArray"),
    Flag::list("output", "Where the result goes (\"type=local,dest=path\", \"type=tar\", …)")
        .short('o')
        .ty("stringArray"),
    Flag::list("platform", "Platform of the image").ty("stringArray"),
    Flag::string("progress", "How progress is shown (\"auto\", \"plain\", \"tty\", \"rawjson\", \"quiet\")")
        .default("auto"),
    Flag::string("provenance", "As --attest=type=provenance"),
    Flag::bool("pull", "Ask registries for images even if they are here"),
    Flag::bool("push", "Push the image to its registry (as --output=type=image,push=true)"),
    Flag::bool("quiet", "Print the image's id and nothing else").short('q'),
    Flag::bool("rm", "Remove intermediate containers after a build that succeeds").default("true"),
    Flag::string("sbom", "As --attest=type=sbom"),
    Flag::list("secret", "Secret that RUN instructions may mount (id=name,src=path or id=name,env=VARIABLE)")
        .ty("stringArray"),
    Flag::list("security-opt", "Security options").ty("stringSlice"),
    Flag::bytes("shm-size", "Size of /dev/shm").shows("0"),
    Flag::bool("squash", "Make one layer of all new ones"),
    Flag::list("ssh", "Agent that RUN instructions may mount (default, or id=socket)").ty("stringArray"),
    Flag::list("tag", "Name of the image (name:tag)").short('t'),
    Flag::string("target", "Stage that is built"),
    Flag::list("ulimit", "Limits of processes").ty("ulimit"),
];
