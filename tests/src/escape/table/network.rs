//! The host's network, other containers, and what goes around addresses.

use super::super::{By, Guard, Row, row};
use super::{SECCOMP, cap};

const NET: Guard = Guard::new(By::Namespace("network"), &["--network", "host"]);
const IPC: Guard = Guard::new(By::Namespace("ipc"), &["--ipc", "host"]);
const NETWORKS: Guard = Guard::new(
    By::Other("separate networks"),
    &["--network", "container:{neighbour-name}"],
)
.on(&["--network", "bridge"]);

/// See the module.
pub const NETWORK: &[Row] = &[
    row("host-link", "see an interface of the host")
        .words(&["see-link", "{link}"])
        .denied("not there")
        .by(&[NET]),
    row(
        "host-loopback",
        "connect to a program that listens on the host's 127.0.0.1",
    )
    .words(&["connect", "127.0.0.1:{port}"])
    .denied("ECONNREFUSED")
    .by(&[NET]),
    row(
        "abstract-socket",
        "connect to a unix socket of the host that has no file",
    )
    .words(&["abstract-socket", "{socket}"])
    .denied("ECONNREFUSED")
    .by(&[NET]),
    row("other-network", "connect to a container of another network")
        .words(&["connect", "{neighbour}:80"])
        .denied("no answer")
        .by(&[NETWORKS]),
    row("shared-memory", "open System V shared memory of the host")
        .words(&["shared-memory", "{memory}"])
        .denied("ENOENT")
        .by(&[IPC]),
    row("raw-socket", "forge IP packets").by(&[cap("NET_RAW")]),
    row("packet-socket", "forge and read Ethernet frames").by(&[cap("NET_RAW")]),
    row("set-link-down", "change an interface by netlink").by(&[cap("NET_ADMIN")]),
    row("nftables", "reach the rules of nftables")
        .words(&["read-rules"])
        .by(&[cap("NET_ADMIN")]),
    // It has no namespaces: it goes straight to the hypervisor.
    row("vsock", "talk to the hypervisor")
        .by(&[SECCOMP])
        .absent(&["EAFNOSUPPORT"]),
    // Its sockets are made, with the module that they take, before it is found to have no pairs.
    row(
        "vsock-pair",
        "have the kernel load the module of a rare protocol: socketpair",
    )
    .by(&[SECCOMP])
    .reaches("EOPNOTSUPP")
    .absent(&["EAFNOSUPPORT"]),
];
