//! The same as `run`, with a bridge network of its own: made, used, removed.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;

use super::{Outcome, once};
use crate::bench::contest::{Contender, Rounds, Step, hold};
use crate::bench::engine::{Engine, TRUE};
use crate::bench::measure::{Cost, Words, measure};
use crate::bench::report::Row;
use crate::bench::stand::Stand;
use crate::bench::tools::Peer;

pub(super) fn contest(stand: &Stand<'_>, rounds: Rounds) -> Result<Outcome> {
    let tools = LinkTools::write(stand)?;
    let bridged = stand
        .coop(&["run", "--rm", "--rootfs"])
        .with([stand.site.rootfs()])
        .with(TRUE);
    let contenders = vec![
        Contender::new("floor, ip and nft", || tools.floor(stand)),
        Contender::new("coop run, bridge", move || once(&bridged)),
        Contender::new("coop run, no network", || {
            once(&Engine::Coop.run(stand, &stand.name(), &TRUE)?)
        }),
    ];
    let mut rows = hold(contenders, rounds)?;
    let podman = match stand.tools.peer(Peer::Podman) {
        Some(_) => "not measured: its bridges are made by helpers that may not be there",
        None => "not installed",
    };
    rows.push(Row::missing("podman run, bridge", "", podman));
    let alone = "an OCI runtime makes no networks";
    rows.extend(["crun", "runc"].map(|name| Row::missing(name, "", alone)));
    Ok(Outcome {
        title: "The same with a bridge network of its own",
        rows,
        goals: Vec::new(),
        notes: vec![
            "Coop leases an address, makes a bridge, a veth pair and rules (masquerade, isolation \
             from other networks), and removes them again. The floor here is the one without \
             network, and before and after it `ip -batch` and `nft -f` that make and remove a \
             bridge, a veth pair and one rule, with nobody in the new network."
                .into(),
            "To remove a bridge, the kernel waits for all processors more than once; neither side \
             can avoid it."
                .into(),
        ],
    })
}

const MAKE_LINKS: &str = "\
link add bench0 type bridge
addr add 10.213.0.1/24 dev bench0
link set bench0 up
link add bench1 type veth peer name bench2
link set bench1 master bench0 up
";
const REMOVE_LINKS: &str = "\
link del bench1
link del bench0
";
const MAKE_RULES: &str = "\
table ip coop-bench {
  chain after {
    type nat hook postrouting priority srcnat
    ip saddr 10.213.0.0/24 oifname != \"bench0\" masquerade
  }
}
";
const REMOVE_RULES: &str = "delete table ip coop-bench\n";

/// The commands that make a bridge, each with its file.
struct LinkTools {
    make: [Words; 2],
    remove: [Words; 2],
}

impl LinkTools {
    fn write(stand: &Stand<'_>) -> Result<Self> {
        let file = |name: &str, text: &str| -> Result<PathBuf> {
            let file = stand.site.path(name);
            fs::write(&file, text)?;
            Ok(file)
        };
        let ip = |file: PathBuf| Words::new("ip").with(["-batch"]).with([file]);
        let nft = |file: PathBuf| Words::new("nft").with(["-f"]).with([file]);
        Ok(Self {
            make: [
                ip(file("make-links", MAKE_LINKS)?),
                nft(file("make-rules", MAKE_RULES)?),
            ],
            remove: [
                ip(file("remove-links", REMOVE_LINKS)?),
                nft(file("remove-rules", REMOVE_RULES)?),
            ],
        })
    }

    fn floor(&self, stand: &Stand<'_>) -> Result<Vec<Step>> {
        let scratch = stand.fresh_scratch()?;
        let mut all = Cost::default();
        for words in &self.make {
            all += measure(words)?;
        }
        all += measure(&stand.floor(&scratch, &TRUE))?;
        for words in &self.remove {
            all += measure(words)?;
        }
        Ok(vec![("", all)])
    }
}
