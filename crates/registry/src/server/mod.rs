//! A registry: repositories, blobs and uploads on a storage, behind HTTP.
