//! Images on disk: blobs, layers, snapshots and their garbage collection. Never dials out.
