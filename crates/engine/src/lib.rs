//! What Docker means by container, image, network and volume. No HTTP, no wire types, no terminal.
