//! berthd: the Docker Engine API over HTTP, on top of the engine.
