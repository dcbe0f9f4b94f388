//! Two containers on a network, with nothing but this crate: a server with a published
//! port and a client. Everything happens in network namespaces of its own, so nothing
//! on the host changes. Needs root, iproute2 and nftables:
//!
//! ```text
//! cargo run -p coop-net --example pair
//! ```

use std::io::{Read, Write};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;

use anyhow::{Context, Result, anyhow};
use coop_net::{
    HostSocket, Ipv6Spec, Lease, LeaseRequest, LinkBatch, NetworkSpec, Networks, PortMapping,
};
use rustix::process::Pid;
use rustix::thread::{UnshareFlags, gettid, unshare_unsafe};

fn main() -> Result<()> {
    // This thread plays the host, in a namespace without any interface but loopback.
    own_network().context("a network namespace of its own needs root")?;
    coop_net::loopback_up()?;

    let state = tempfile::tempdir()?;
    let networks = Networks::new(state.path());
    let server = LeaseRequest {
        container: "server".into(),
        ports: PortMapping::parse("8080:80")?,
        ..LeaseRequest::default()
    };
    let client = LeaseRequest {
        container: "client".into(),
        ..LeaseRequest::default()
    };
    let spec = NetworkSpec {
        ipv6: Some(Ipv6Spec::default()),
        ..NetworkSpec::new("pair")
    };
    let leases = networks.lease(&spec, &[server, client])?;
    let [server, client] = &leases[..] else {
        unreachable!("one lease for each request")
    };
    println!(
        "planned   server {} and client {} on {}",
        server.address, client.address, server.bridge
    );

    let held = coop_net::reserve(&server.ports)?;
    networks.ensure_bridge("pair")?;
    let rules = networks.apply_rules("pair")?;
    let mut links = LinkBatch::spawn()?;
    let host = Arc::new(HostSocket::open()?);

    // Two threads play the containers, each in a namespace of its own.
    let (serving, wait) = channel();
    let (server_pid, start_server) = container(server, &host, move || {
        // IPv4 as well.
        let listener = TcpListener::bind("[::]:80")?;
        serving.send(())?;
        for stream in listener.incoming().take(3) {
            let mut stream = stream?;
            let peer = stream.peer_addr()?.ip().to_canonical();
            write!(stream, "hello, {peer}")?;
        }
        Ok(())
    })?;
    let addresses: Vec<IpAddr> = server.addresses().collect();
    let (client_pid, start_client) = container(client, &host, move || {
        for address in addresses {
            println!("client    {address} says: {}", ask((address, 80))?);
        }
        Ok(())
    })?;

    links.add(server, server_pid)?;
    links.add(client, client_pid)?;
    links.commit()?;
    rules.wait()?;
    println!("wired     one `ip`, one `nft`");

    let server_thread = start_server()?;
    wait.recv()?;
    join(start_client()?)?;
    println!(
        "host      127.0.0.1:8080 says: {}",
        ask(("127.0.0.1".parse()?, 8080))?
    );
    join(server_thread)?;

    networks.release_all("pair")?;
    drop(held);
    println!(
        "released  {} files left in the state directory",
        state.path().read_dir()?.count()
    );
    Ok(())
}

type Work = thread::JoinHandle<Result<()>>;

/// A thread in a network namespace that waits until it is told to start.
fn container(
    lease: &Lease,
    host: &Arc<HostSocket>,
    work: impl FnOnce() -> Result<()> + Send + 'static,
) -> Result<(Pid, impl FnOnce() -> Result<Work>)> {
    let (born, pid) = channel();
    let (go, wait) = channel();
    let (lease, host) = (lease.clone(), host.clone());
    let handle = thread::spawn(move || {
        own_network()?;
        born.send(gettid())?;
        wait.recv()?;
        coop_net::configure(std::slice::from_ref(&lease), &host)?;
        work()
    });
    let start = move || {
        go.send(())?;
        Ok(handle)
    };
    Ok((pid.recv()?, start))
}

fn own_network() -> Result<()> {
    // SAFETY: a network namespace of its own takes no descriptor and no memory away from
    // the other threads.
    unsafe { unshare_unsafe(UnshareFlags::NEWNET) }?;
    Ok(())
}

fn ask((address, port): (IpAddr, u16)) -> Result<String> {
    let mut text = String::new();
    TcpStream::connect((address, port))?.read_to_string(&mut text)?;
    Ok(text)
}

fn join(work: Work) -> Result<()> {
    work.join().map_err(|_| anyhow!("a container panicked"))?
}
