//! Interface flags and socket queues by `ioctl(2)`, socket options and control messages that rustix lacks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd};

use super::check;
use crate::Result;
use crate::net::Received;

/// Sets `IFF_UP` on `lo` of the network namespace that `socket` was made in.
pub(crate) fn loopback_up(socket: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: an all-zero ifreq is valid.
    let mut req: libc::ifreq = unsafe { std::mem::zeroed() };
    req.ifr_name[0] = b'l' as libc::c_char;
    req.ifr_name[1] = b'o' as libc::c_char;
    req.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads one ifreq, which outlives the call.
    let ret = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const req) };
    check(ret.into()).map(drop)
}

/// Sets a boolean option of a netlink socket.
pub(crate) fn netlink_option(socket: BorrowedFd<'_>, option: libc::c_int) -> Result<()> {
    turn_on(socket, libc::SOL_NETLINK, option)
}

/// Turns a boolean option of a socket on.
fn turn_on(socket: BorrowedFd<'_>, level: libc::c_int, option: libc::c_int) -> Result<()> {
    let on: libc::c_int = 1;
    let len = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: setsockopt reads `len` bytes of `on`, which outlives the call.
    let ret = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const on).cast(), len) };
    check(ret.into()).map(drop)
}

/// `SIOCOUTQ`: bytes (with the kernel's own overhead) that were sent and not read yet.
pub(crate) fn unread(socket: BorrowedFd<'_>) -> Result<usize> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: SIOCOUTQ (the same number as TIOCOUTQ) writes one int, which outlives the call.
    let ret = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    check(ret.into()).map(|_| usize::try_from(bytes).unwrap_or(0))
}

/// Room for one `in6_pktinfo` beside its header, aligned as headers must be.
#[repr(C, align(8))]
struct Control([u8; 64]);

/// Asks for the destination of each datagram (`IP_PKTINFO`, `IPV6_RECVPKTINFO`).
pub(crate) fn ask_for_destination(socket: BorrowedFd<'_>, v6: bool) -> Result<()> {
    let (level, option) =
        if v6 { (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO) } else { (libc::IPPROTO_IP, libc::IP_PKTINFO) };
    turn_on(socket, level, option)
}

/// Lets a socket be bound to any address (`IP_TRANSPARENT`, `IPV6_TRANSPARENT`).
pub(crate) fn allow_any_address(socket: BorrowedFd<'_>, v6: bool) -> Result<()> {
    let (level, option) = if v6 {
        (libc::IPPROTO_IPV6, libc::IPV6_TRANSPARENT)
    } else {
        (libc::IPPROTO_IP, libc::IP_TRANSPARENT)
    };
    turn_on(socket, level, option)
}

/// Takes one datagram.
pub(crate) fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<Received> {
    // SAFETY: all-zero is valid for both.
    let (mut from, mut message): (libc::sockaddr_storage, libc::msghdr) = unsafe { std::mem::zeroed() };
    let mut control = Control([0; 64]);
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    message.msg_name = (&raw mut from).cast();
    message.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = (&raw mut control).cast();
    message.msg_controllen = size_of::<Control>() as _;
    // SAFETY: every pointer in `message` is to a local or to `buffer`, with its length, and all outlive the call.
    let ret = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_DONTWAIT) };
    let len = usize::try_from(check(ret as libc::c_long)?).unwrap_or(0);
    let from = address(&from).ok_or(rustix::io::Errno::AFNOSUPPORT)?;
    let mut to = None;
    // SAFETY: the kernel has filled `control` and set its length; the macros stay within it.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
    while !header.is_null() {
        // SAFETY: the header is in `control`, which is aligned for it.
        let (level, kind) = unsafe { ((*header).cmsg_level, (*header).cmsg_type) };
        // SAFETY: as above; behind the header is what its kind says.
        let data = unsafe { libc::CMSG_DATA(header) };
        if (level, kind) == (libc::IPPROTO_IP, libc::IP_PKTINFO) {
            // SAFETY: the kernel wrote a whole `in_pktinfo` there.
            let info: libc::in_pktinfo = unsafe { data.cast::<libc::in_pktinfo>().read_unaligned() };
            let ip = Ipv4Addr::from(info.ipi_addr.s_addr.to_ne_bytes());
            to = Some((ip.into(), info.ipi_ifindex.cast_unsigned()));
        } else if (level, kind) == (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) {
            // SAFETY: the kernel wrote a whole `in6_pktinfo` there.
            let info: libc::in6_pktinfo = unsafe { data.cast::<libc::in6_pktinfo>().read_unaligned() };
            to = Some((Ipv6Addr::from(info.ipi6_addr.s6_addr).into(), info.ipi6_ifindex));
        }
        // SAFETY: both are valid, and the macro stays within `control`.
        header = unsafe { libc::CMSG_NXTHDR(&raw const message, header) };
    }
    Ok(Received { len, from, to })
}

/// Sends one datagram from one of our addresses.
pub(crate) fn send_from(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    to: &SocketAddr,
    from: (IpAddr, u32),
) -> Result<()> {
    let (mut name, name_len) = storage(to);
    // SAFETY: all-zero is valid.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    let mut control = Control([0; 64]);
    let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    message.msg_name = (&raw mut name).cast();
    message.msg_namelen = name_len;
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = (&raw mut control).cast();
    let (level, kind, len) = match from.0 {
        IpAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_PKTINFO, size_of::<libc::in_pktinfo>()),
        IpAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, size_of::<libc::in6_pktinfo>()),
    };
    // SAFETY: pure arithmetic.
    let (space, whole) = unsafe { (libc::CMSG_SPACE(len as _), libc::CMSG_LEN(len as _)) };
    message.msg_controllen = space as _;
    // SAFETY: `control` has room for a header and the larger of the two structures (12 + 16 and 20 + 16 bytes), and
    // is aligned for the header.
    unsafe {
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (*header).cmsg_level = level;
        (*header).cmsg_type = kind;
        (*header).cmsg_len = whole as _;
        match from.0 {
            IpAddr::V4(ip) => {
                let mut info: libc::in_pktinfo = std::mem::zeroed();
                info.ipi_spec_dst.s_addr = u32::from_ne_bytes(ip.octets());
                libc::CMSG_DATA(header).cast::<libc::in_pktinfo>().write_unaligned(info);
            }
            IpAddr::V6(ip) => {
                let mut info: libc::in6_pktinfo = std::mem::zeroed();
                info.ipi6_addr.s6_addr = ip.octets();
                info.ipi6_ifindex = from.1;
                libc::CMSG_DATA(header).cast::<libc::in6_pktinfo>().write_unaligned(info);
            }
        }
    }
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: every pointer in `message` is to a local or to `bytes`, with its length, and all outlive the call, which
    // only reads them.
    let ret = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, flags) };
    check(ret as libc::c_long).map(drop)
}

fn address(storage: &libc::sockaddr_storage) -> Option<SocketAddr> {
    let at = &raw const *storage;
    match libc::c_int::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that the storage holds one, and it is aligned for all.
            let v4 = unsafe { at.cast::<libc::sockaddr_in>().read() };
            let ip = Ipv4Addr::from(v4.sin_addr.s_addr.to_ne_bytes());
            Some(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let v6 = unsafe { at.cast::<libc::sockaddr_in6>().read() };
            let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            Some(SocketAddrV6::new(ip, u16::from_be(v6.sin6_port), 0, v6.sin6_scope_id).into())
        }
        _ => None,
    }
}

fn storage(address: &SocketAddr) -> (libc::sockaddr_storage, libc::socklen_t) {
    // SAFETY: all-zero is valid.
    let mut storage: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
    let at = &raw mut storage;
    let len = match address {
        SocketAddr::V4(v4) => {
            // SAFETY: all-zero is valid, and the storage is large enough and aligned for every address.
            unsafe {
                let mut name: libc::sockaddr_in = std::mem::zeroed();
                name.sin_family = libc::AF_INET as libc::sa_family_t;
                name.sin_port = v4.port().to_be();
                name.sin_addr.s_addr = u32::from_ne_bytes(v4.ip().octets());
                at.cast::<libc::sockaddr_in>().write(name);
            }
            size_of::<libc::sockaddr_in>()
        }
        SocketAddr::V6(v6) => {
            // SAFETY: as above.
            unsafe {
                let mut name: libc::sockaddr_in6 = std::mem::zeroed();
                name.sin6_family = libc::AF_INET6 as libc::sa_family_t;
                name.sin6_port = v6.port().to_be();
                name.sin6_addr.s6_addr = v6.ip().octets();
                name.sin6_scope_id = v6.scope_id();
                at.cast::<libc::sockaddr_in6>().write(name);
            }
            size_of::<libc::sockaddr_in6>()
        }
    };
    (storage, len as libc::socklen_t)
}
