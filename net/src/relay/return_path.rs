//! How answers to an address of somebody else come back to the relay.
//!
//! A container answers to the client's address, which it takes for one beyond its gateway. In
//! the gateway's namespace the answer has to go to the socket that has taken this address, and
//! not on to the real client. So the relay marks what it sends, the connection keeps the mark,
//! and what belongs to a marked connection is routed by a table in which every address is the
//! host's own.

use std::process::Stdio;

use crate::error::Error;
use crate::tool::{self, IP, NFT, Tool};

/// The mark of what the relay sends, and of its connections.
pub(super) const MARK: u32 = 0x00c0_0901;
/// The mark of the answers: another one, for with it also what the relay sends would be routed
/// back.
const ANSWER: u32 = 0x00c0_0902;
/// The routing table in which every address is the host's own.
const TABLE: u32 = 9_190;
/// The nft table. No network's is called so: see [`naming`](crate::naming).
const RULES: &str = "coop_relay";

/// Makes the way back for answers to a [`Relay`](super::Relay), in the network namespace of the
/// calling thread. To be called once for a new one, before anything else is in it; it goes with
/// the namespace.
///
/// # Errors
/// [`Error::MissingTool`], [`Error::Tool`], [`Error::Rules`] with the tool's own words.
pub fn return_path() -> Result<(), Error> {
    let routes = |any: &str| {
        format!(
            "rule add fwmark {ANSWER:#x} lookup {TABLE}\n\
             route add local {any} dev lo table {TABLE}\n"
        )
    };
    let rules = format!(
        "table inet {RULES} {{
\tchain output {{
\t\ttype filter hook output priority -150; policy accept;
\t\tmeta mark {MARK:#x} ct mark set {MARK:#x}
\t}}
\tchain prerouting {{
\t\ttype filter hook prerouting priority -150; policy accept;
\t\tct mark {MARK:#x} ct direction reply meta mark set {ANSWER:#x}
\t}}
}}
"
    );
    // All at once: each mostly waits for the kernel.
    let mut running = vec![
        start(NFT, &["-f", "-"], &rules)?,
        start(IP, &["-batch", "-"], &routes("0.0.0.0/0"))?,
    ];
    // A kernel without IPv6 has no such rules.
    if std::path::Path::new("/proc/sys/net/ipv6").exists() {
        running.push(start(IP, &["-6", "-batch", "-"], &routes("::/0"))?);
    }
    for running in running {
        running.wait()?.map_err(|message| Error::Rules {
            network: "of the relay of published ports".to_owned(),
            message,
        })?;
    }
    Ok(())
}

fn start(tool: Tool, arguments: &[&str], text: &str) -> Result<tool::Running, Error> {
    let input = tool::memory_text(text).map_err(tool.failed("feed"))?;
    tool.start(arguments, Stdio::from(input), Stdio::null())
}
