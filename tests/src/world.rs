//! The machine beside a test's host that stands for all the world.

use std::fs;
use std::path::Path;

use crate::{Cmd, Host, Output, Running, wait_until};

/// The machine that is all the world beside the host: 192.0.2.1, the host's gateway. The host is
/// 192.0.2.2.
pub struct World<'h> {
    host: &'h Host,
    pid: String,
    _sleeper: Running<'h>,
}

impl<'h> World<'h> {
    /// Wires it to the host, and waits until packets pass.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn new(host: &'h Host) -> Self {
        let script = "echo $$; exec sleep 10000";
        let mut sleeper = { host.tool("unshare").args(["-n", "sh", "-c", script]) }.spawn();
        let pid = sleeper.wait_for("\n");
        let world = Self {
            host,
            pid,
            _sleeper: sleeper,
        };
        let pid = &world.pid;
        let link = format!("ip link add up0 type veth peer name world0 netns {pid}");
        let up = "ip address add 192.0.2.2/24 dev up0; ip link set up0 up";
        let route = "ip route add default via 192.0.2.1";
        let script = format!("set -e; {link}; {up}; {route}");
        host.tool("sh").args(["-c", &script]).run().success();
        // Its link-local address would be another one for a second, and then the same.
        let path = "/proc/sys/net/ipv6/conf/up0/disable_ipv6";
        if Path::new(path).exists() {
            fs::write(path, "1").expect("turn IPv6 off");
        }
        let script = "set -e; ip link set lo up; ip address add 192.0.2.1/24 dev world0; \
                      ip link set world0 up";
        world.run(script).success();
        wait_until("the cable is in", || {
            let up0 = host.tool("ip").args(["-o", "link", "show", "up0"]).run();
            up0.stdout.contains("state UP")
        });
        world
    }

    /// A server of one page, at port 8000.
    pub fn serve(&self) -> Running<'h> {
        let script = "cd \"$HOME\" && echo outside > page && exec busybox httpd -f -vv -p 8000";
        let server = self.enter(script).spawn();
        let get = "busybox wget -q -O - http://127.0.0.1:8000/page";
        wait_until("the world serves", || {
            self.run(get).stdout.contains("outside")
        });
        server
    }

    /// A shell script there.
    pub fn enter(&self, script: &str) -> Cmd<'h> {
        let nsenter = self.host.tool("nsenter");
        nsenter.args(["-n", "-t", &self.pid, "sh", "-c", script])
    }

    /// A shell script there, to its end.
    pub fn run(&self, script: &str) -> Output {
        self.enter(script).run()
    }
}
