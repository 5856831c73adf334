//! What etcd and its clients say to each other: the part of its v3 API that we use, as documented
//! in "etcd API Reference" (`etcdserverpb`, `mvccpb`). Written by hand, since the crate that
//! generates it runs the program `protoc` when it is built.

mod kv;
mod lease;
mod watch;

pub(crate) use kv::{
    Compare, DeleteRangeRequest, KeyValue, PutRequest, RangeRequest, RangeResponse, RequestOp, ResponseOp,
    Target, TxnRequest, TxnResponse, compare, request_op, response_op,
};
pub(crate) use lease::{
    LeaseGrantRequest, LeaseGrantResponse, LeaseKeepAliveRequest, LeaseKeepAliveResponse, LeaseRevokeRequest,
    LeaseRevokeResponse,
};
pub(crate) use watch::{WatchCreateRequest, WatchRequest, WatchResponse, watch_request};

/// Path of a method on the server.
pub(crate) mod method {
    pub(crate) const RANGE: &str = "/etcdserverpb.KV/Range";
    pub(crate) const TXN: &str = "/etcdserverpb.KV/Txn";
    pub(crate) const LEASE_GRANT: &str = "/etcdserverpb.Lease/LeaseGrant";
    pub(crate) const LEASE_REVOKE: &str = "/etcdserverpb.Lease/LeaseRevoke";
    pub(crate) const LEASE_KEEP_ALIVE: &str = "/etcdserverpb.Lease/LeaseKeepAlive";
    pub(crate) const WATCH: &str = "/etcdserverpb.Watch/Watch";
}

/// What every answer begins with.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(crate) struct ResponseHeader {
    /// Which store it is.
    #[prost(uint64, tag = "1")]
    pub(crate) cluster_id: u64,
    /// Which of its members.
    #[prost(uint64, tag = "2")]
    pub(crate) member_id: u64,
    /// The state of the store when it was asked.
    #[prost(int64, tag = "3")]
    pub(crate) revision: i64,
}
