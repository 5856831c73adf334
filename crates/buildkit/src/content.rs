//! Messages of containerd's content service (`containerd.services.content.v1`), of which a session uses three calls:
//! a client lends its image layouts so, and the directories that caches come from and go to.
//!
//! Written by hand: the fields are those of `api/services/content/v1/content.proto`, whose numbers never change.

use std::collections::HashMap;

/// Which blob.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct InfoRequest {
    /// `algorithm:hex`.
    #[prost(string, tag = "1")]
    pub digest: String,
}

/// What is known of a blob.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Info {
    /// `algorithm:hex`.
    #[prost(string, tag = "1")]
    pub digest: String,
    /// Bytes.
    #[prost(int64, tag = "2")]
    pub size: i64,
}

/// Answers an [`InfoRequest`].
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct InfoResponse {
    /// The blob.
    #[prost(message, optional, tag = "1")]
    pub info: Option<Info>,
}

/// Asks for a part of a blob.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ReadContentRequest {
    /// `algorithm:hex`.
    #[prost(string, tag = "1")]
    pub digest: String,
    /// Where to begin, in bytes.
    #[prost(int64, tag = "2")]
    pub offset: i64,
    /// How many bytes; 0 for all.
    #[prost(int64, tag = "3")]
    pub size: i64,
}

/// A piece of a blob.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ReadContentResponse {
    /// Where it lies.
    #[prost(int64, tag = "1")]
    pub offset: i64,
    /// Its bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub data: Vec<u8>,
}

/// What a [`WriteContentRequest`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum WriteAction {
    /// How far it is.
    Stat = 0,
    /// Bytes.
    Write = 1,
    /// All bytes have come (these may be the last), and the blob is to be seen.
    Commit = 2,
}

/// A step of writing a blob.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct WriteContentRequest {
    /// Which step.
    #[prost(enumeration = "WriteAction", tag = "1")]
    pub action: i32,
    /// The writer's name for it.
    #[prost(string, tag = "2")]
    pub r#ref: String,
    /// Bytes of the whole; 0 if that is not said.
    #[prost(int64, tag = "3")]
    pub total: i64,
    /// Its digest; empty if that is not said.
    #[prost(string, tag = "4")]
    pub expected: String,
    /// Where the bytes belong.
    #[prost(int64, tag = "5")]
    pub offset: i64,
    /// The bytes.
    #[prost(bytes = "vec", tag = "6")]
    pub data: Vec<u8>,
    /// What is to be noted with it.
    #[prost(map = "string, string", tag = "7")]
    pub labels: HashMap<String, String>,
}

/// Answers a [`WriteContentRequest`]. (Two times are left out.)
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct WriteContentResponse {
    /// Which step was done.
    #[prost(enumeration = "WriteAction", tag = "1")]
    pub action: i32,
    /// Bytes that have come.
    #[prost(int64, tag = "4")]
    pub offset: i64,
    /// Bytes of the whole.
    #[prost(int64, tag = "5")]
    pub total: i64,
    /// The digest of what has come.
    #[prost(string, tag = "6")]
    pub digest: String,
}
