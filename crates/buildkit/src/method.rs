//! Names: methods, headers of a session, and metadata of its calls.

/// Builds.
pub const SOLVE: &str = "/moby.buildkit.v1.Control/Solve";
/// A build's progress.
pub const STATUS: &str = "/moby.buildkit.v1.Control/Status";
/// A session that comes as a stream of messages inside of gRPC.
pub const SESSION: &str = "/moby.buildkit.v1.Control/Session";
/// Who builds, and for which platforms.
pub const LIST_WORKERS: &str = "/moby.buildkit.v1.Control/ListWorkers";
/// The builder's version.
pub const INFO: &str = "/moby.buildkit.v1.Control/Info";
/// What the cache holds.
pub const DISK_USAGE: &str = "/moby.buildkit.v1.Control/DiskUsage";
/// Removes from the cache.
pub const PRUNE: &str = "/moby.buildkit.v1.Control/Prune";
/// Builds that were.
pub const LISTEN_BUILD_HISTORY: &str = "/moby.buildkit.v1.Control/ListenBuildHistory";
/// Pins or removes one of them.
pub const UPDATE_BUILD_HISTORY: &str = "/moby.buildkit.v1.Control/UpdateBuildHistory";

/// Whether the other end lives (`grpc.health.v1`).
pub const HEALTH_CHECK: &str = "/grpc.health.v1.Health/Check";
/// A directory of the client's.
pub const FILE_SYNC: &str = "/moby.filesync.v1.FileSync/DiffCopy";
/// A result for the client.
pub const FILE_SEND: &str = "/moby.filesync.v1.FileSend/DiffCopy";
/// A user name and a password.
pub const CREDENTIALS: &str = "/moby.filesync.v1.Auth/Credentials";
/// A token of a registry's.
pub const FETCH_TOKEN: &str = "/moby.filesync.v1.Auth/FetchToken";
/// A secret's value.
pub const GET_SECRET: &str = "/moby.buildkit.secrets.v1.Secrets/GetSecret";
/// Whether there is such an agent.
pub const CHECK_AGENT: &str = "/moby.sshforward.v1.SSH/CheckAgent";
/// A connection to an agent.
pub const FORWARD_AGENT: &str = "/moby.sshforward.v1.SSH/ForwardAgent";
/// A stream that the client has named by a URL, such as a context on its standard input.
pub const PULL: &str = "/moby.upload.v1.Upload/Pull";
/// What is known of a blob of the client's.
pub const CONTENT_INFO: &str = "/containerd.services.content.v1.Content/Info";
/// A blob of the client's.
pub const CONTENT_READ: &str = "/containerd.services.content.v1.Content/Read";
/// A blob for the client.
pub const CONTENT_WRITE: &str = "/containerd.services.content.v1.Content/Write";

/// Headers of `POST /session`.
pub mod header {
    /// The session's id, by which builds refer to it.
    pub const SESSION_ID: &str = "X-Docker-Expose-Session-Uuid";
    /// A name for people.
    pub const SESSION_NAME: &str = "X-Docker-Expose-Session-Name";
    /// What sessions have in common that send the same directories, so that only changes travel.
    pub const SESSION_SHARED_KEY: &str = "X-Docker-Expose-Session-Sharedkey";
    /// A method that the client serves; one header each.
    pub const SESSION_METHOD: &str = "X-Docker-Expose-Session-Grpc-Method";
}

/// Metadata of the calls within a session.
pub mod metadata {
    /// Which directory.
    pub const DIR_NAME: &str = "dir-name";
    /// What of it is wanted.
    pub const INCLUDE: &str = "include-patterns";
    /// What of it is not.
    pub const EXCLUDE: &str = "exclude-patterns";
    /// Names that are wanted together with what they lead to.
    pub const FOLLOW: &str = "followpaths";
    /// The client's own exclusions don't count.
    pub const OVERRIDE_EXCLUDES: &str = "override-excludes";
    /// Begins the name of what is said of an exported result.
    pub const EXPORTER_PREFIX: &str = "exporter-md-";
    /// Which of several outputs this is.
    pub const EXPORTER_ID: &str = "buildkit-attachable-exporter-id";
    /// Which of the client's stores of blobs.
    pub const STORE_ID: &str = "buildkit-attachable-store-id";
    /// Which agent.
    pub const SSH_ID: &str = "buildkit.ssh.id";
    /// The path of an upload's URL.
    pub const URL_PATH: &str = "urlpath";
    /// The host of an upload's URL.
    pub const URL_HOST: &str = "urlhost";
}

/// What begins the name of one of the client's stores of blobs.
pub mod store {
    /// An image layout, by the name that the client has given it.
    pub const LAYOUT: &str = "oci:";
    /// A directory for caches, by its path.
    pub const CACHE: &str = "local:";
}
