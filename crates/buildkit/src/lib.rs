//! BuildKit's protocol, as both ends need it: the daemon serves `Control` on a connection of `POST /grpc` and asks
//! the client's services on the one of `POST /session`; `berth build` is the other end of both.
//!
//! The messages are BuildKit's own, the connections whatever HTTP/1.1 has given away by `Upgrade: h2c`. Nothing
//! here knows an image, a Dockerfile's meaning or a terminal.

pub mod content;
pub mod details;
pub mod filesync;
pub mod grpc;
pub mod method;
pub mod session;

/// BuildKit's messages.
pub mod proto {
    pub use bollard_buildkit_proto::fsutil::types as fsutil;
    pub use bollard_buildkit_proto::google::protobuf::{Any, Timestamp};
    pub use bollard_buildkit_proto::google::rpc;
    pub use bollard_buildkit_proto::health;
    pub use bollard_buildkit_proto::moby::buildkit::secrets::v1 as secrets;
    pub use bollard_buildkit_proto::moby::buildkit::v1 as control;
    pub use bollard_buildkit_proto::moby::buildkit::v1::types;
    pub use bollard_buildkit_proto::moby::filesync::packet::BytesMessage;
    pub use bollard_buildkit_proto::moby::filesync::v1 as auth;
    pub use bollard_buildkit_proto::moby::sshforward::v1 as ssh;
    pub use bollard_buildkit_proto::pb;
}

pub use tonic::{Code, Status};
