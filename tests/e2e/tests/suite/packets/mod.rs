//! Networks judged by packets, from hosts of the tests' own: what arrives where, and from which address.

mod host;
