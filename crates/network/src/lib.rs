//! Container networks over netlink and nftables, every operation with its inverse.
