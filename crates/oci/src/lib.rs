//! Formats of the Open Container Initiative as values: image references, digests, manifests, configs. No I/O.
