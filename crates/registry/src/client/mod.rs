//! Asks registries: resolves names, fetches and uploads manifests and blobs.
