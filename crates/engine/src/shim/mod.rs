//! The daemon's side of a container's shim: spawn or adopt it, ask it, hear from it.
//!
//! A handle is one connection. Dropping the last clone closes it; a running container does not mind, and
//! another connection may be made at any time. A shim without a started container ends when its last
//! connection closes.

mod attach;
mod connection;
mod error;
mod events;
mod newborn;
mod spawn;

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use oci_spec::runtime::LinuxResources;
use shim::protocol::{
    AttachRequest, Attached, CheckpointRequest, CreateRequest, Created, ExecRequest, HelloReply, HoldPort,
    KillRequest, MAX_FDS, MountRequest, PortKey, PortState, Reply, Request, ResizeRequest, StartedReply,
    StateReply, VERSION,
};

pub use attach::stream_pair;
pub use error::ShimError;
pub use events::{Events, ShimEvent};
pub(crate) use newborn::wait_for_all;
pub use spawn::SpawnOptions;

use connection::Connection;
use tokio::net::UnixStream;

/// A connection to one shim; cheap to clone.
#[derive(Debug, Clone)]
pub struct ShimHandle {
    connection: Arc<Connection>,
}

/// File descriptors of [`ShimHandle::create`].
#[derive(Debug, Default)]
pub struct CreateFds {
    /// The container's root: a detached mount.
    pub rootfs: Option<OwnedFd>,
    /// The network namespace to join; the shim keeps it open until it ends.
    pub netns: Option<OwnedFd>,
    /// Detached mounts in place of sources in the specification.
    pub mounts: Vec<(MountRequest, OwnedFd)>,
}

impl ShimHandle {
    /// Start a shim. It needs no answer: requests may be sent at once, and are read when it is up.
    ///
    /// # Errors
    /// The state directory can't be made, or the program can't be started.
    pub fn spawn(options: &SpawnOptions<'_>) -> Result<(Self, Events), ShimError> {
        let (socket, newborn) = spawn::spawn(options)?;
        let (connection, events) = Connection::over(socket, Some(newborn))?;
        connection.post(&Request::Hello { version: VERSION });
        Ok((Self { connection }, events))
    }

    /// Adopt the shim whose state directory this is.
    ///
    /// # Errors
    /// [`ShimError::Gone`] when none listens there: the container's `exit.json` then is the truth, and
    /// without one the shim was killed.
    pub async fn connect(state_dir: &Path) -> Result<(Self, Events, HelloReply), ShimError> {
        let socket = spawn::connect(state_dir)?;
        let (connection, events) = Connection::over(socket, None)?;
        match connection.call(&Request::Hello { version: VERSION }, Vec::new()).await? {
            Reply::Hello(hello) => Ok((Self { connection }, events, *hello)),
            _ => Err(ShimError::Unexpected("Hello")),
        }
    }

    /// Make the container, up to its first process waiting for [`Self::start`].
    ///
    /// # Errors
    /// The shim's refusal: see [`shim::protocol::ErrorReply::exit_code`].
    pub async fn create(&self, mut request: CreateRequest, fds: CreateFds) -> Result<Created, ShimError> {
        request.rootfs_fd = fds.rootfs.is_some();
        request.netns_fd = fds.netns.is_some();
        let (mounts, sources): (Vec<_>, Vec<_>) = fds.mounts.into_iter().unzip();
        request.mounts = mounts;
        let fds: Vec<_> = fds.rootfs.into_iter().chain(fds.netns).chain(sources).collect();
        if fds.len() > MAX_FDS {
            return Err(ShimError::TooManyMounts(MAX_FDS));
        }
        match self.connection.call(&Request::Create(Box::new(request)), fds).await? {
            Reply::Created(created) => Ok(created),
            _ => Err(ShimError::Unexpected("Create")),
        }
    }

    /// Let the container's first process run.
    ///
    /// # Errors
    /// The shim's refusal; the program may turn out not to exist only now.
    pub async fn start(&self) -> Result<StartedReply, ShimError> {
        match self.connection.call(&Request::Start, Vec::new()).await? {
            Reply::Started(started) => Ok(started),
            _ => Err(ShimError::Unexpected("Start")),
        }
    }

    /// [`Self::create`] and [`Self::start`] in one round trip.
    ///
    /// # Errors
    /// Whichever of the two fails first.
    pub async fn run(
        &self,
        request: CreateRequest,
        fds: CreateFds,
    ) -> Result<(Created, StartedReply), ShimError> {
        let (created, started) = tokio::join!(self.create(request, fds), self.start());
        Ok((created?, started?))
    }

    /// Start one more process in the container. `client` is the far end of its streams when
    /// `request.attach` is given (see [`stream_pair`]).
    ///
    /// # Errors
    /// The shim's refusal: see [`shim::protocol::ErrorReply::exit_code`].
    pub async fn exec(&self, request: ExecRequest, client: Option<OwnedFd>) -> Result<Created, ShimError> {
        let fds = client.into_iter().collect();
        match self.connection.call(&Request::Exec(Box::new(request)), fds).await? {
            Reply::Created(created) => Ok(created),
            _ => Err(ShimError::Unexpected("Exec")),
        }
    }

    /// Join the streams of the container or of an exec session: raw with a terminal, else each chunk behind
    /// Docker's 8-byte header. Shut the connection's writing half down to end the input.
    /// Allowed before [`Self::create`].
    ///
    /// # Errors
    /// The shim's refusal.
    pub async fn attach(&self, request: AttachRequest) -> Result<(Attached, UnixStream), ShimError> {
        let (near, far) = stream_pair()?;
        Ok((self.attach_fd(request, far).await?, near))
    }

    /// As [`Self::attach`], over a stream socket of the caller's: the far end of a [`stream_pair`] made
    /// earlier, or the user's own connection, which then outlives the daemon.
    ///
    /// # Errors
    /// The shim's refusal.
    pub async fn attach_fd(&self, request: AttachRequest, client: OwnedFd) -> Result<Attached, ShimError> {
        match self.connection.call(&Request::Attach(request), vec![client]).await? {
            Reply::Attached(attached) => Ok(attached),
            _ => Err(ShimError::Unexpected("Attach")),
        }
    }

    /// Set a terminal's size.
    ///
    /// # Errors
    /// The shim's refusal.
    pub async fn resize(&self, exec_id: Option<&str>, rows: u16, columns: u16) -> Result<(), ShimError> {
        let exec_id = exec_id.map(str::to_owned);
        self.done(Request::Resize(ResizeRequest { exec_id, rows, columns })).await
    }

    /// Close the standard input of the container (`None`) or of an exec session.
    ///
    /// # Errors
    /// The shim's refusal.
    pub async fn close_stdin(&self, exec_id: Option<&str>) -> Result<(), ShimError> {
        self.done(Request::CloseStdin { exec_id: exec_id.map(str::to_owned) }).await
    }

    /// Send a signal to the container's first process, or to `all` in its cgroup.
    ///
    /// # Errors
    /// The shim's refusal.
    pub async fn kill(&self, signal: i32, all: bool) -> Result<(), ShimError> {
        self.done(Request::Kill(KillRequest { exec_id: None, signal, all })).await
    }

    /// Send a signal to an exec session's process.
    ///
    /// # Errors
    /// The shim's refusal.
    pub async fn kill_exec(&self, exec_id: &str, signal: i32) -> Result<(), ShimError> {
        self.done(Request::Kill(KillRequest { exec_id: Some(exec_id.to_owned()), signal, all: false })).await
    }

    /// Write the container's processes to disk.
    ///
    /// # Errors
    /// The shim's refusal, with what the program `criu` said; the processes then run on as they did.
    pub async fn checkpoint(&self, request: CheckpointRequest) -> Result<(), ShimError> {
        self.done(Request::Checkpoint(Box::new(request))).await
    }

    /// Freeze every process of the container.
    ///
    /// # Errors
    /// The shim's refusal.
    pub async fn pause(&self) -> Result<(), ShimError> {
        self.done(Request::Pause).await
    }

    /// Thaw them.
    ///
    /// # Errors
    /// The shim's refusal.
    pub async fn resume(&self) -> Result<(), ShimError> {
        self.done(Request::Resume).await
    }

    /// Change the container's limits.
    ///
    /// # Errors
    /// The shim's refusal.
    pub async fn update(&self, resources: LinuxResources) -> Result<(), ShimError> {
        self.done(Request::Update(Box::new(resources))).await
    }

    /// The ids of all processes in the container, as the host sees them.
    ///
    /// # Errors
    /// The shim's refusal.
    pub async fn ps(&self) -> Result<Vec<i32>, ShimError> {
        match self.connection.call(&Request::Ps, Vec::new()).await? {
            Reply::Pids(pids) => Ok(pids),
            _ => Err(ShimError::Unexpected("Ps")),
        }
    }

    /// What the shim knows.
    ///
    /// # Errors
    /// The shim's refusal.
    pub async fn state(&self) -> Result<StateReply, ShimError> {
        match self.connection.call(&Request::State, Vec::new()).await? {
            Reply::State(state) => Ok(*state),
            _ => Err(ShimError::Unexpected("State")),
        }
    }

    /// The container's network namespace, which the shim holds.
    ///
    /// # Errors
    /// The shim's refusal: it holds none.
    pub async fn netns(&self) -> Result<OwnedFd, ShimError> {
        let (_, fds) = self.connection.call_fds(&Request::Netns, Vec::new()).await?;
        fds.into_iter().next().ok_or(ShimError::Unexpected("Netns"))
    }

    /// Have descriptors held under a name for as long as the shim lives, in place of those held so far.
    ///
    /// # Errors
    /// The shim's refusal: there are too many, or it is of a release that holds none.
    pub async fn keep(&self, name: &str, fds: Vec<OwnedFd>) -> Result<(), ShimError> {
        self.connection.call(&Request::Keep { name: name.to_owned() }, fds).await.map(drop)
    }

    /// Copies of the descriptors held under a name.
    ///
    /// # Errors
    /// The shim's refusal: it holds none.
    pub async fn kept(&self, name: &str) -> Result<Vec<OwnedFd>, ShimError> {
        Ok(self.connection.call_fds(&Request::Kept { name: name.to_owned() }, Vec::new()).await?.1)
    }

    /// Have ports of the host held until they are released or the container ends; each that says so comes with a socket.
    ///
    /// # Errors
    /// The shim's refusal: those before the one it names are held. Or it is of a release that holds none.
    pub async fn hold_ports(&self, ports: Vec<HoldPort>, sockets: Vec<OwnedFd>) -> Result<(), ShimError> {
        self.connection.call(&Request::HoldPorts { ports }, sockets).await.map(drop)
    }

    /// Have ports of the host let go of; those that are not held are fine.
    ///
    /// # Errors
    /// The shim is of a release that holds none.
    pub async fn release_ports(&self, ports: Vec<PortKey>) -> Result<(), ShimError> {
        self.done(Request::ReleasePorts { ports }).await
    }

    /// The ports of the host that are held.
    ///
    /// # Errors
    /// The shim is of a release that holds none.
    pub async fn ports(&self) -> Result<Vec<PortState>, ShimError> {
        match self.connection.call(&Request::Ports, Vec::new()).await? {
            Reply::Ports(ports) => Ok(ports),
            _ => Err(ShimError::Unexpected("Ports")),
        }
    }

    /// A mount that the shim keeps for others, and the mount namespace that it is attached in.
    ///
    /// # Errors
    /// The shim's refusal: it keeps none of this name.
    pub async fn mount(&self, name: &str) -> Result<(OwnedFd, OwnedFd), ShimError> {
        let request = Request::Mount { name: name.to_owned() };
        let (_, fds) = self.connection.call_fds(&request, Vec::new()).await?;
        let mut fds = fds.into_iter();
        fds.next().zip(fds.next()).ok_or(ShimError::Unexpected("Mount"))
    }

    /// Acknowledge the end of the container (or give up one that was not started). Afterwards its cgroup is
    /// gone; the shim itself ends as soon as its clients have their last bytes.
    ///
    /// # Errors
    /// The shim's refusal: the container runs.
    pub async fn shutdown(&self) -> Result<(), ShimError> {
        match self.done(Request::Shutdown).await {
            Err(ShimError::Gone) => Ok(()),
            other => other,
        }
    }

    async fn done(&self, request: Request) -> Result<(), ShimError> {
        self.connection.call(&request, Vec::new()).await.map(drop)
    }
}
