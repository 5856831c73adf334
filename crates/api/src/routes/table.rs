//! The rows, plain paths first so that no name hides one.

use crate::version::Version;

use super::{Method, Route};

macro_rules! routes {
    ($( $action:ident $method:ident $pattern:literal $since:literal; )*) => {
        /// Everything that can be asked, by the API's own operation names.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Action {
            $( #[doc = concat!("`", stringify!($method), " ", $pattern, "`")] $action, )*
        }

        /// Every row, in the order of [`Action`].
        pub static ROUTES: [Route; [$( $since ),*].len()] = [$(
            Route {
                action: Action::$action,
                method: Method::$method,
                pattern: $pattern,
                since: Version::minor($since),
            },
        )*];
    };
}

routes! {
    ContainerList Get "/containers/json" 24;
    ContainerCreate Post "/containers/create" 24;
    ContainerPrune Post "/containers/prune" 25;
    ImageList Get "/images/json" 24;
    ImageBuild Post "/build" 24;
    BuildPrune Post "/build/prune" 31;
    ImageCreate Post "/images/create" 24;
    ImageSearch Get "/images/search" 24;
    ImagePrune Post "/images/prune" 25;
    SystemAuth Post "/auth" 24;
    SystemInfo Get "/info" 24;
    SystemVersion Get "/version" 24;
    SystemPing Get "/_ping" 24;
    SystemPingHead Head "/_ping" 24;
    ImageCommit Post "/commit" 24;
    SystemEvents Get "/events" 24;
    SystemDataUsage Get "/system/df" 25;
    ImageGetAll Get "/images/get" 24;
    ImageLoad Post "/images/load" 24;
    VolumeList Get "/volumes" 24;
    VolumeCreate Post "/volumes/create" 24;
    VolumePrune Post "/volumes/prune" 25;
    NetworkList Get "/networks" 24;
    NetworkCreate Post "/networks/create" 24;
    NetworkPrune Post "/networks/prune" 25;
    PluginList Get "/plugins" 25;
    PluginPrivileges Get "/plugins/privileges" 25;
    PluginPull Post "/plugins/pull" 25;
    PluginCreate Post "/plugins/create" 25;
    NodeList Get "/nodes" 24;
    SwarmInspect Get "/swarm" 24;
    SwarmInit Post "/swarm/init" 24;
    SwarmJoin Post "/swarm/join" 24;
    SwarmLeave Post "/swarm/leave" 24;
    SwarmUpdate Post "/swarm/update" 24;
    SwarmUnlockkey Get "/swarm/unlockkey" 24;
    SwarmUnlock Post "/swarm/unlock" 24;
    ServiceList Get "/services" 24;
    ServiceCreate Post "/services/create" 24;
    TaskList Get "/tasks" 24;
    SecretList Get "/secrets" 25;
    SecretCreate Post "/secrets/create" 25;
    ConfigList Get "/configs" 30;
    ConfigCreate Post "/configs/create" 30;
    Session Post "/session" 31;
    Grpc Post "/grpc" 39;
    BuildCancel Post "/build/cancel" 39;
    ContainerInspect Get "/containers/{name}/json" 24;
    ContainerTop Get "/containers/{name}/top" 24;
    ContainerLogs Get "/containers/{name}/logs" 24;
    ContainerChanges Get "/containers/{name}/changes" 24;
    ContainerExport Get "/containers/{name}/export" 24;
    ContainerStats Get "/containers/{name}/stats" 24;
    ContainerResize Post "/containers/{name}/resize" 24;
    ContainerStart Post "/containers/{name}/start" 24;
    ContainerStop Post "/containers/{name}/stop" 24;
    ContainerRestart Post "/containers/{name}/restart" 24;
    ContainerKill Post "/containers/{name}/kill" 24;
    ContainerUpdate Post "/containers/{name}/update" 24;
    ContainerRename Post "/containers/{name}/rename" 24;
    ContainerPause Post "/containers/{name}/pause" 24;
    ContainerUnpause Post "/containers/{name}/unpause" 24;
    ContainerAttach Post "/containers/{name}/attach" 24;
    ContainerAttachWebsocket Get "/containers/{name}/attach/ws" 24;
    ContainerWait Post "/containers/{name}/wait" 24;
    CheckpointList Get "/containers/{name}/checkpoints" 25;
    CheckpointCreate Post "/containers/{name}/checkpoints" 25;
    CheckpointDelete Delete "/containers/{name}/checkpoints/{checkpoint}" 25;
    ContainerDelete Delete "/containers/{name}" 24;
    ContainerArchiveInfo Head "/containers/{name}/archive" 24;
    ContainerArchive Get "/containers/{name}/archive" 24;
    ContainerArchivePut Put "/containers/{name}/archive" 24;
    ImageInspect Get "/images/{name}/json" 24;
    ImageAttestations Get "/images/{name}/attestations" 55;
    ImageVerify Get "/images/{name}/verify" 24;
    ImageSbom Get "/images/{name}/sbom" 24;
    ImageHistory Get "/images/{name}/history" 24;
    ImagePush Post "/images/{name}/push" 24;
    ImageTag Post "/images/{name}/tag" 24;
    ImageDelete Delete "/images/{name}" 24;
    ImageGet Get "/images/{name}/get" 24;
    ContainerExec Post "/containers/{name}/exec" 24;
    ExecStart Post "/exec/{id}/start" 24;
    ExecResize Post "/exec/{id}/resize" 24;
    ExecInspect Get "/exec/{id}/json" 24;
    VolumeInspect Get "/volumes/{id}" 24;
    VolumeUpdate Put "/volumes/{id}" 42;
    VolumeDelete Delete "/volumes/{id}" 24;
    VolumeProtect Post "/volumes/{id}/protect" 24;
    VolumeUnprotect Post "/volumes/{id}/unprotect" 24;
    NetworkInspect Get "/networks/{id}" 24;
    NetworkDelete Delete "/networks/{id}" 24;
    NetworkConnect Post "/networks/{id}/connect" 24;
    NetworkDisconnect Post "/networks/{id}/disconnect" 24;
    PluginInspect Get "/plugins/{name}/json" 25;
    PluginDelete Delete "/plugins/{name}" 25;
    PluginEnable Post "/plugins/{name}/enable" 25;
    PluginDisable Post "/plugins/{name}/disable" 25;
    PluginUpgrade Post "/plugins/{name}/upgrade" 25;
    PluginPush Post "/plugins/{name}/push" 25;
    PluginSet Post "/plugins/{name}/set" 25;
    NodeInspect Get "/nodes/{id}" 24;
    NodeDelete Delete "/nodes/{id}" 24;
    NodeUpdate Post "/nodes/{id}/update" 24;
    ServiceInspect Get "/services/{id}" 24;
    ServiceDelete Delete "/services/{id}" 24;
    ServiceUpdate Post "/services/{id}/update" 24;
    ServiceLogs Get "/services/{id}/logs" 25;
    TaskInspect Get "/tasks/{id}" 24;
    TaskLogs Get "/tasks/{id}/logs" 25;
    SecretInspect Get "/secrets/{id}" 25;
    SecretDelete Delete "/secrets/{id}" 25;
    SecretUpdate Post "/secrets/{id}/update" 25;
    ConfigInspect Get "/configs/{id}" 30;
    ConfigDelete Delete "/configs/{id}" 30;
    ConfigUpdate Post "/configs/{id}/update" 30;
    DistributionInspect Get "/distribution/{name}/json" 30;
}
