//! What a registry may send, and for how long, before it is refused.

use std::time::Duration;

/// Largest manifest or index, in bytes: what the distribution specification lets a registry refuse.
pub const MAX_MANIFEST: u64 = 4 << 20;
/// Largest body of an error that is read, in bytes; the rest is not looked at.
pub const MAX_ERROR_BODY: usize = 64 << 10;
/// Errors of one answer that are kept, and the longest text of each.
pub const MAX_ERRORS: usize = 8;
/// Longest text of an error that is shown, in characters.
pub const MAX_ERROR_TEXT: usize = 1024;
/// Largest answer of a token server, in bytes.
pub const MAX_TOKEN_ANSWER: u64 = 1 << 20;
/// Longest token that is used: a request's head must take it.
pub const MAX_TOKEN: usize = 64 << 10;
/// Tokens that are remembered.
pub const MAX_TOKENS: usize = 4096;
/// Largest page of a list (tags, repositories, search results), in bytes.
pub const MAX_PAGE: u64 = 4 << 20;
/// Pages of one list.
pub const MAX_PAGES: usize = 10_000;
/// Entries of one list.
pub const MAX_ENTRIES: usize = 1_000_000;
/// Redirects that one request follows.
pub const MAX_REDIRECTS: usize = 10;
/// Header fields of one answer.
pub const MAX_HEADERS: usize = 100;
/// Size of a connection's read buffer, in bytes, and by that the largest head of an answer.
pub const READ_BUFFER: usize = 512 << 10;
/// Longest URL, in bytes.
pub const MAX_URL: usize = 16 << 10;
/// Challenges that one answer may hold.
pub const MAX_CHALLENGES: usize = 16;
/// Longest time that a registry may have us wait by `Retry-After`.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(300);
/// Idle connections kept to one place, and how long.
pub const MAX_IDLE: usize = 8;
/// How long an idle connection is kept.
pub const IDLE_TIME: Duration = Duration::from_secs(30);
/// Largest configuration file (`hosts.toml`, certificates, keys), in bytes.
pub const MAX_CONFIG_FILE: usize = 4 << 20;
/// Smallest piece of a blob that is worth a connection of its own, in bytes.
pub const SEGMENT: u64 = 16 << 20;
/// URLs of one foreign layer that are tried.
pub const MAX_FOREIGN_URLS: usize = 8;
/// Search results that are read.
pub const MAX_FOUND: usize = 100;
