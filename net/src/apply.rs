//! Bringing a ruleset into the kernel by one `nft -f -`.

use std::path::Path;
use std::process::Stdio;

use crate::bridge;
use crate::error::Error;
use crate::forwarding;
use crate::lease::Lease;
use crate::probe::Answer;
use crate::rules;
use crate::spec::Network;
use crate::store::Lock;
use crate::sys::Control;
use crate::tool::{self, NFT, Running};

/// Rules on their way into the kernel. Nothing is reachable that should not be before
/// [`wait`](Self::wait) returns: only then is forwarding turned on.
#[derive(Debug)]
#[must_use = "rules that nobody waits for may not be there"]
pub struct PendingRules {
    network: Network,
    /// `None` when the kernel has these very rules already.
    nft: Option<Running>,
    /// What to do when `nft` fails because there is a table against all appearance.
    otherwise: Option<String>,
    opened: Vec<String>,
    loopback: bool,
}

impl PendingRules {
    /// Whether an `nft` was started: `false` when the kernel had these rules already.
    pub fn is_running(&self) -> bool {
        self.nft.is_some()
    }

    /// Waits until the rules are in force, then lets packets through: forwarding on the
    /// bridge and the host's interfaces, and loopback publishing.
    ///
    /// The bridge must exist by now.
    ///
    /// # Errors
    /// [`Error::Rules`] with `nft`'s own words, [`Error::Sysctl`], [`Error::Tool`] (also
    /// when something else in this process reaped `nft`).
    pub fn wait(self) -> Result<(), Error> {
        let Self {
            network,
            nft,
            otherwise,
            opened,
            loopback,
        } = self;
        wait_for(nft, otherwise, &network.name)?;
        bridge::open(&network.bridge, network.internal, loopback)?;
        forwarding::open(&opened)
    }

    /// Waits for the rules and opens nothing: for rules that only take away.
    pub(crate) fn wait_rules(self) -> Result<(), Error> {
        wait_for(self.nft, self.otherwise, &self.network.name)
    }
}

/// Starts `nft` with the rules of `network` and `leases`, unless the kernel has them.
///
/// `nft` gets a copy of the lock, as its standard output, which it writes nothing to:
/// whatever becomes of this process, no other one can change the rules of this network
/// before they are complete.
pub(crate) fn start(
    directory: &Path,
    network: &Network,
    leases: &[Lease],
    lock: &Lock,
) -> Result<PendingRules, Error> {
    let opened = if network.internal {
        Vec::new()
    } else {
        forwarding::plan(directory)?
    };
    let table = rules::table(directory, &network.name);
    let ruleset = rules::render(&table, network, leases, &opened);
    let mark = ruleset.mark;
    let (nft, otherwise) = match (mark.ask(), rules::table_mark(&table).ask()) {
        (Answer::Present, _) => (None, None),
        (_, Answer::Absent) => {
            let nft = feed(&ruleset.creation(), lock)?;
            (Some(nft), Some(ruleset.replacement()))
        }
        _ => (Some(feed(&ruleset.replacement(), lock)?), None),
    };
    log::debug!(
        "network {}: rules {mark}, {}",
        network.name,
        if nft.is_some() { "loading" } else { "there" }
    );
    Ok(PendingRules {
        network: network.clone(),
        nft,
        otherwise,
        opened,
        loopback: rules::uses_loopback(leases),
    })
}

/// Removes the table of a network, when there is one.
pub(crate) fn remove(
    directory: &Path,
    network: &str,
    lock: Option<&Lock>,
) -> Result<Option<Running>, Error> {
    let table = rules::table(directory, network);
    match (rules::table_mark(&table).ask(), lock) {
        (Answer::Absent, _) => Ok(None),
        // The kernel does not tell, and without the program there has been no table.
        (Answer::Unknown, _) if NFT.find().is_err() => Ok(None),
        (_, Some(lock)) => feed(&rules::removal(&table), lock).map(Some),
        (_, None) => start_nft(&rules::removal(&table), Stdio::null()).map(Some),
    }
}

fn wait_for(nft: Option<Running>, otherwise: Option<String>, network: &str) -> Result<(), Error> {
    let Some(nft) = nft else { return Ok(()) };
    let mut result = nft.wait()?;
    if let (Err(message), Some(text)) = (&result, otherwise) {
        log::debug!("network {network}: {message}");
        result = start_nft(&text, Stdio::null())?.wait()?;
    }
    result.map_err(|message| refused(network, &message))
}

pub(crate) fn refused(network: &str, message: &str) -> Error {
    Error::Rules {
        network: network.to_owned(),
        message: message.to_owned(),
    }
}

fn feed(text: &str, lock: &Lock) -> Result<Running, Error> {
    let lock = lock.share().map_err(NFT.failed("start"))?;
    start_nft(text, Stdio::from(lock))
}

fn start_nft(text: &str, stdout: Stdio) -> Result<Running, Error> {
    // All of it is there before `nft` starts: it cannot see half a ruleset when this
    // process is killed, and we never wait for it to read.
    let input = tool::memory_text(text).map_err(NFT.failed("feed"))?;
    NFT.start(&["-f", "-"], Stdio::from(input), stdout)
}

/// Whether the kernel has a table for this network, `None` when it does not tell.
pub(crate) fn has_table(directory: &Path, network: &str) -> Option<bool> {
    match rules::table_mark(&rules::table(directory, network)).ask() {
        Answer::Present => Some(true),
        Answer::Absent => Some(false),
        Answer::Unknown => None,
    }
}

/// A control socket, with the error of this crate.
pub(crate) fn control(interface: &str) -> Result<Control, Error> {
    Control::open().map_err(crate::error::interface(
        "open a socket for ioctls",
        interface,
    ))
}
