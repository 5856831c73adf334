//! Ports of the host in the shim's hands.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failing helper is a failing test")]

mod common;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;

use common::*;
use shim::protocol::*;

/// Descriptors of pipes that the shim keeps until it rests.
const SPARE_PIPES: usize = 8;

fn ports(shim: &mut Shim) -> Vec<PortState> {
    match shim.control.call(Request::Ports, &[]).unwrap() {
        Reply::Ports(ports) => ports,
        other => panic!("{other:?}"),
    }
}

fn descriptors(shim: &Shim) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", shim.child.id())).unwrap().count()
}

#[test]
fn they_outlive_the_daemon_and_end_with_the_container() {
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut shim = Shim::spawn();
    assert!(ports(&mut shim).is_empty());
    let door = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).unwrap();
    let address = door.local_addr().unwrap();
    let key = PortKey { transport: Transport::Tcp, address };
    let aim = Aim::To(server.local_addr().unwrap());
    let hold = HoldPort { key, aim, fd: true };
    // before there is a container
    shim.control.call(Request::HoldPorts { ports: vec![hold.clone()] }, &[door.as_fd()]).unwrap();
    drop(door);
    shim.run(shim.request(&["sleep", "1000"], false));
    assert_eq!(ports(&mut shim), [PortState { key, aim, connections: 0 }]);
    let before = descriptors(&shim);

    let mut client = TcpStream::connect(address).unwrap();
    let (mut accepted, _) = server.accept().unwrap();
    let mut other = shim.connect();
    std::mem::swap(&mut shim.control, &mut other);
    drop(other);
    shim.control.hello();
    for round in 0..3 {
        client.write_all(&[round]).unwrap();
        let mut got = [9];
        accepted.read_exact(&mut got).unwrap();
        assert_eq!(got, [round]);
    }
    assert_eq!(ports(&mut shim)[0].connections, 1);
    assert!(TcpListener::bind(address).is_err());

    // what can't be done says so
    let unknown = PortKey { transport: Transport::Udp, address: SocketAddr::from(([127, 0, 0, 1], 9)) };
    let wrong = HoldPort { key: unknown, aim: Aim::Nowhere, fd: false };
    let refused = shim.control.call(Request::HoldPorts { ports: vec![wrong.clone()] }, &[]).unwrap_err();
    assert!(refused.message.contains("127.0.0.1:9/Udp: it is not held"), "{refused}");
    let missing = HoldPort { fd: true, ..wrong };
    assert!(shim.control.call(Request::HoldPorts { ports: vec![missing] }, &[]).is_err());
    shim.control.call(Request::ReleasePorts { ports: vec![key, unknown] }, &[]).unwrap();
    assert_eq!(client.read(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    assert!(descriptors(&shim) < before + SPARE_PIPES, "{} from {before}", descriptors(&shim));
    let door = TcpListener::bind(address).unwrap();
    shim.control.call(Request::HoldPorts { ports: vec![hold.clone()] }, &[door.as_fd()]).unwrap();
    drop(door);

    shim.kill(9);
    shim.control.exited();
    // free before anyone hears of the end
    let door = TcpListener::bind(address).unwrap();
    let late = shim.control.call(Request::HoldPorts { ports: vec![hold] }, &[door.as_fd()]).unwrap_err();
    assert_eq!(late.kind, ErrorKind::InvalidState);
    shim.shutdown();
}

#[test]
fn a_start_that_failed_leaves_them_free() {
    let mut shim = Shim::spawn();
    let door = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = door.local_addr().unwrap();
    let key = PortKey { transport: Transport::Tcp, address };
    let hold = HoldPort { key, aim: Aim::Nowhere, fd: true };
    shim.control.call(Request::HoldPorts { ports: vec![hold] }, &[door.as_fd()]).unwrap();
    drop(door);
    assert!(TcpListener::bind(address).is_err());
    let request = Request::Create(Box::new(shim.request(&["/no/such/program"], false)));
    let _ = shim.control.call(request, &[]);
    // while this connection is open the shim lives
    shim.control.call(Request::Shutdown, &[]).unwrap();
    TcpListener::bind(address).unwrap();
}
