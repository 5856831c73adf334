//! What both ends share: paths, media types, error codes, limits.
