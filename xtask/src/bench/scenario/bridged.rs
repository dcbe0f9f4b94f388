//! TCP from the host over a bridge.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::thread::{UnshareFlags, unshare_unsafe};

use super::steady::{interleaved, parse, row};
use crate::bench::contest::Rounds;
use crate::bench::engine::Engine;
use crate::bench::measure::{Words, measure, run, succeed};
use crate::bench::report::{Row, Unit};
use crate::bench::stand::Stand;

const PORT: &str = "5001";
const ADDRESS: &str = "10.213.1.2";

/// A server in a container, and one in a bare namespace.
pub(super) fn rows(stand: &Stand<'_>, rounds: Rounds) -> Result<Vec<Row>> {
    let bare = BareNamespace::new(stand)?;
    let name = stand.name();
    let container = stand
        .coop(&["run", "-d", "--name", &name, "--rootfs"])
        .with([stand.site.rootfs()])
        .with(["/bin/load", "serve", PORT]);
    measure(&container)?;
    let rates = container_address(stand, &name).and_then(|inside| {
        let addresses = [ADDRESS, &inside];
        addresses.iter().try_for_each(|it| wait_for(stand, it))?;
        interleaved(&addresses, rounds, |address| {
            parse(&succeed(&send(stand, address))?.output)
        })
    });
    Engine::Coop.removal(stand, &name)?;
    drop(bare);
    let what = "TCP over a bridge";
    let rows = ["bare namespace", "coop"].into_iter().zip(rates?);
    let row = |(who, rates): (&str, Vec<f64>)| row(who, what, Unit::BytesPerSecond, &rates);
    Ok(rows.map(row).collect())
}

fn container_address(stand: &Stand<'_>, name: &str) -> Result<String> {
    let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    let output = succeed(&stand.coop(&["inspect", "-f", format, name]))?.output;
    Ok(output.trim().to_owned())
}

fn send(stand: &Stand<'_>, address: &str) -> Words {
    Words::new(&stand.tools.load).with(["send", address, PORT])
}

/// Until the server answers.
fn wait_for(stand: &Stand<'_>, address: &str) -> Result<()> {
    let start = Instant::now();
    loop {
        let done = run(&send(stand, address))?;
        if done.status.success() {
            return Ok(());
        }
        if start.elapsed() > Duration::from_secs(5) {
            bail!("no answer from {address}: {}", done.output.trim());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A server in a network namespace and nothing else new, at a bridge.
struct BareNamespace {
    server: Child,
}

impl BareNamespace {
    fn new(stand: &Stand<'_>) -> Result<Self> {
        let mut command = Command::new(&stand.tools.load);
        command
            .args(["serve", PORT])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // SAFETY: one system call, in the copy that has one thread.
        unsafe { command.pre_exec(|| Ok(unshare_unsafe(UnshareFlags::NEWNET)?)) };
        let server = command.spawn().context("start a server")?;
        let bare = Self { server };
        let pid = bare.server.id().to_string();
        let batch = format!(
            "link add bare0 type bridge\n\
             addr add 10.213.1.1/24 dev bare0\n\
             link set bare0 up\n\
             link add bare1 type veth peer name eth0 netns {pid}\n\
             link set bare1 master bare0 up\n"
        );
        let inside = format!("addr add {ADDRESS}/24 dev eth0\nlink set eth0 up\n");
        measure(&ip(stand, "bare-links", &batch)?)?;
        let nsenter = Words::new("nsenter").with(["--net", "--target", &pid]);
        measure(&nsenter.with(ip(stand, "bare-address", &inside)?.0))?;
        Ok(bare)
    }
}

impl Drop for BareNamespace {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
        let _ = run(&Words::new("ip").with(["link", "del", "bare0"]));
    }
}

fn ip(stand: &Stand<'_>, name: &str, batch: &str) -> Result<Words> {
    let file = stand.site.path(name);
    std::fs::write(&file, batch)?;
    Ok(Words::new("ip").with(["-batch"]).with([file]))
}
