//! The Docker Engine API: the types and routes that client and server share.
