//! TCP by `iperf3`: from container to container, and to a published port from another machine.
//!
//! Beside Coop's network there is one made by hand, of the same parts: a bridge, two links, and
//! Coop's own rules with the names and addresses of the other one in them.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::Outcome;
use super::steady::{interleaved, row};
use crate::bench::contest::Rounds;
use crate::bench::engine::Engine;
use crate::bench::measure::{Words, measure, run, succeed};
use crate::bench::report::{Goal, Row, Unit};
use crate::bench::stand::Stand;
use crate::bench::stats::multiple;

/// Where the servers listen, and where each is published on the host.
const PORT: &str = "5201";
const COOPS: &str = "5301";
const BY_HAND: &str = "5302";

/// The host as the machine next door sees it.
const HOST: &str = "10.213.2.1";
/// What the network made by hand has, but for the last number.
const SUBNET: &str = "10.213.9";

/// What `coop inspect` is asked for.
const ADDRESS: &str = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";

const STEPS: [&str; 2] = ["container to container", "published port"];

pub(super) fn contest(stand: &Stand<'_>, rounds: Rounds) -> Result<Outcome> {
    if !run(&Words::new("iperf3").with(["--version"]))?
        .status
        .success()
    {
        bail!("iperf3 is not installed: apt-get install iperf3");
    }
    let next_door = NextDoor::new(stand)?;
    let coop = Coops::new(stand)?;
    let by_hand = ByHand::new(stand, &coop)?;
    let ways = [
        Way::new(&coop.client, &coop.address, PORT),
        Way::new(&by_hand.client, &format!("{SUBNET}.2"), PORT),
        Way::new(&next_door.machine, HOST, COOPS),
        Way::new(&next_door.machine, HOST, BY_HAND),
    ];
    ways.iter().try_for_each(Way::wait)?;
    let ways: Vec<&Way> = ways.iter().collect();
    let rates = interleaved(&ways, rounds, Way::rate)?;
    let names = STEPS.map(|step| [("coop", step), ("made by hand", step)]);
    let rows: Vec<Row> = { names.iter().flatten().zip(&rates) }
        .map(|((who, step), rates)| row(who, step, Unit::BytesPerSecond, rates))
        .collect();
    let goals = { STEPS.iter().zip(rates.chunks(2)) }
        .filter_map(|(step, rates)| {
            Some(Goal {
                text: format!("{step}: made by hand, as a multiple of coop"),
                measured: multiple(&rates[0], &rates[1])?,
                limit: 1.1,
            })
        })
        .collect();
    Ok(Outcome {
        title: "Networks: more is better",
        rows,
        goals,
        notes: vec![
            "One TCP stream of `iperf3` for a second, sender and receiver in the network \
             namespaces of two containers, and of a third one that is a machine next door. The \
             network made by hand has a bridge, two veth pairs, and the rules of Coop's own with \
             its names and addresses in them; both are there all the time, and measured in turn. The \
             multiple is the median of that of each round."
                .into(),
        ],
    })
}

/// A process whose network namespace is used.
struct Place {
    pid: String,
    /// One of ours ends with this.
    process: Option<Child>,
}

impl Place {
    /// A network namespace of its own.
    fn new() -> Result<Self> {
        let mut process = Command::new("unshare")
            .args(["--net", "sleep", "infinity"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .context("start unshare")?;
        let pid = process.id().to_string();
        let path = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/net"));
        let own = path("self")?;
        let start = Instant::now();
        while path(&pid).is_ok_and(|it| it == own) {
            if start.elapsed() > Duration::from_secs(5) {
                let _ = process.kill();
                bail!("unshare makes no network namespace");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(Self {
            pid,
            process: Some(process),
        })
    }

    fn enter(&self) -> Words {
        Words::new("nsenter").with(["--net", "--target", &self.pid])
    }

    fn ip(&self, commands: &str) -> Result<()> {
        for command in commands.lines() {
            succeed(&self.enter().with(["ip"]).with(command.split(' ')))?;
        }
        Ok(())
    }

    /// A server that listens until it is dropped.
    fn serve(&self) -> Result<Server> {
        let server = Command::new("nsenter")
            .args(["--net", "--target", &self.pid])
            .args(["iperf3", "--server", "--port", PORT])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Ok(Server(server.context("start iperf3")?))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// From where to where.
struct Way<'a> {
    from: &'a Place,
    address: String,
    port: &'static str,
}

impl<'a> Way<'a> {
    fn new(from: &'a Place, address: &str, port: &'static str) -> Self {
        Self {
            from,
            address: address.to_owned(),
            port,
        }
    }

    fn client(&self, seconds: &str) -> Words {
        let client = self.from.enter().with(["iperf3", "--json", "--client"]);
        let to = client.with([self.address.as_str(), "--port", self.port]);
        to.with(["--time", seconds])
    }

    /// Until the server answers.
    fn wait(&self) -> Result<()> {
        let start = Instant::now();
        loop {
            let done = run(&self.client("1"))?;
            if done.status.success() {
                return Ok(());
            }
            if start.elapsed() > Duration::from_secs(10) {
                bail!("{}:{}: {}", self.address, self.port, done.output.trim());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Bytes in a second.
    fn rate(&self) -> Result<f64> {
        let output = succeed(&self.client("1"))?.output;
        let report: serde_json::Value =
            serde_json::from_str(&output).context("read what iperf3 prints")?;
        let bits = report["end"]["sum_received"]["bits_per_second"].as_f64();
        bits.map(|bits| bits / 8.0)
            .context("iperf3 does not say how much it received")
    }
}

/// A machine that is wired to the host.
struct NextDoor {
    machine: Place,
}

impl NextDoor {
    fn new(stand: &Stand<'_>) -> Result<Self> {
        let machine = Place::new()?;
        let pid = &machine.pid;
        let batch = format!(
            "link add door0 type veth peer name door1 netns {pid}\n\
             addr add {HOST}/24 dev door0\n\
             link set door0 up\n"
        );
        measure(&batched(stand, "next-door", &batch)?)?;
        machine.ip("addr add 10.213.2.2/24 dev door1\nlink set door1 up")?;
        Ok(Self { machine })
    }
}

impl Drop for NextDoor {
    fn drop(&mut self) {
        let _ = run(&Words::new("ip").with(["link", "del", "door0"]));
    }
}

/// Two containers.
struct Coops<'a, 's> {
    stand: &'a Stand<'s>,
    names: [String; 2],
    address: String,
    /// What else has to be replaced in the rules: bridge, links, addresses.
    links: Vec<(String, String)>,
    client: Place,
    server: Option<Server>,
}

impl<'a, 's> Coops<'a, 's> {
    fn new(stand: &'a Stand<'s>) -> Result<Self> {
        let nobody = || Place {
            pid: String::new(),
            process: None,
        };
        let mut coops = Self {
            stand,
            names: [stand.name(), stand.name()],
            address: String::new(),
            links: Vec::new(),
            client: nobody(),
            server: None,
        };
        let publish = format!("{COOPS}:{PORT}");
        for (name, flags) in coops.names.iter().zip([&["-p", publish.as_str()][..], &[]]) {
            let run = ["run", "-d", "--init", "--name", name];
            let words = stand.coop(&run).with(flags).with(["--rootfs"]);
            measure(&words.with([stand.site.rootfs()]).with(["sleep", "1000000"]))?;
        }
        let inspect = |name: &str, what: &str| -> Result<String> {
            let output = succeed(&stand.coop(&["inspect", "-f", what, name]))?.output;
            Ok(output.trim().to_owned())
        };
        coops.address = inspect(&coops.names[0], ADDRESS)?;
        let mut places = Vec::new();
        for (number, name) in coops.names.iter().enumerate() {
            let place = Place {
                pid: inspect(name, "{{.State.Pid}}")?,
                process: None,
            };
            let host_end = host_end(&place)?;
            coops.links.push((host_end, format!("hand{number}")));
            places.push(place);
        }
        let [server, client] = <[Place; 2]>::try_from(places).ok().context("two places")?;
        coops.server = Some(server.serve()?);
        coops.client = client;
        Ok(coops)
    }
}

/// The name of the host's end of a container's link.
fn host_end(place: &Place) -> Result<String> {
    let links = succeed(&place.enter().with(["ip", "-o", "link", "show", "eth0"]))?.output;
    let index = { links.split("@if").nth(1) }.and_then(|rest| rest.split(':').next());
    let index = index.context("eth0 has no other end")?;
    let all = succeed(&Words::new("ip").with(["-o", "link"]))?.output;
    let mine = { all.lines() }.find(|line| line.starts_with(&format!("{index}: ")));
    let name = mine.and_then(|line| line.split([' ', '@']).nth(1));
    Ok(name.context("the host has no other end")?.to_owned())
}

impl Drop for Coops<'_, '_> {
    fn drop(&mut self) {
        self.server.take();
        for name in &self.names {
            let _ = Engine::Coop.removal(self.stand, name);
        }
    }
}

/// The same by hand.
struct ByHand {
    client: Place,
    _server: (Place, Server),
}

impl ByHand {
    fn new(stand: &Stand<'_>, coops: &Coops<'_, '_>) -> Result<Self> {
        let (server, client) = (Place::new()?, Place::new()?);
        let (one, two) = (&server.pid, &client.pid);
        let mac = |last: u8| format!("02:42:0a:d5:09:{last:02x}");
        let batch = format!(
            "link add hand type bridge\n\
             addr add {SUBNET}.1/24 dev hand\n\
             link set hand up\n\
             link add name hand0 up master hand type veth peer name eth0 address {} netns {one}\n\
             link add name hand1 up master hand type veth peer name eth0 address {} netns {two}\n",
            mac(2),
            mac(3)
        );
        measure(&batched(stand, "by-hand", &batch)?)?;
        for (place, last) in [(&server, 2), (&client, 3)] {
            place.ip(&format!(
                "link set lo up\naddr add {SUBNET}.{last}/24 dev eth0\nlink set eth0 up\n\
                 route add default via {SUBNET}.1"
            ))?;
        }
        let file = stand.site.path("rules-by-hand");
        std::fs::write(&file, rules(coops)?)?;
        succeed(&Words::new("nft").with(["-f"]).with([file]))?;
        std::fs::write("/proc/sys/net/ipv4/conf/hand/forwarding", "1")?;
        let running = server.serve()?;
        Ok(Self {
            client,
            _server: (server, running),
        })
    }
}

impl Drop for ByHand {
    fn drop(&mut self) {
        let _ = run(&Words::new("ip").with(["link", "del", "hand"]));
        for family in ["inet", "bridge"] {
            let _ = run(&Words::new("nft").with(["delete", "table", family, "by_hand"]));
        }
    }
}

/// Coop's rules, for the other network.
fn rules(coops: &Coops<'_, '_>) -> Result<String> {
    let all = succeed(&Words::new("nft").with(["list", "ruleset"]))?.output;
    let (link, _) = coops.links.first().context("no links")?;
    let master = succeed(&Words::new("ip").with(["-o", "link", "show", link]))?.output;
    let bridge = { master.split("master ").nth(1) }.and_then(|rest| rest.split(' ').next());
    let bridge = bridge.context("the link is at no bridge")?;
    let table = bridge.replace('-', "_");
    let subnet = coops.address.rsplit_once('.').context("an address")?.0;
    let mut octets = subnet
        .split('.')
        .filter_map(|octet| octet.parse::<u8>().ok());
    let mac: Vec<_> = octets
        .by_ref()
        .map(|octet| format!("{octet:02x}"))
        .collect();
    let mut text = String::new();
    // Tables begin at the start of a line and end with a brace there.
    for part in all.split("\n}\n") {
        let head = part.trim_start().lines().next().unwrap_or_default();
        if head.split(' ').nth(2) == Some(&table) {
            text += part.trim_start();
            text += "\n}\n";
        }
    }
    if text.is_empty() {
        bail!("network {table} has no rules");
    }
    for (from, to) in &coops.links {
        text = text.replace(from, to);
    }
    Ok(text
        .replace(bridge, "hand")
        .replace(&table, "by_hand")
        .replace(&format!("{subnet}."), &format!("{SUBNET}."))
        .replace(&format!("02:42:{}:", mac.join(":")), "02:42:0a:d5:09:")
        .replace(&format!("tcp . {COOPS} "), &format!("tcp . {BY_HAND} ")))
}

fn batched(stand: &Stand<'_>, name: &str, batch: &str) -> Result<Words> {
    let file = stand.site.path(name);
    std::fs::write(&file, batch)?;
    Ok(Words::new("ip").with(["-batch"]).with([file]))
}
