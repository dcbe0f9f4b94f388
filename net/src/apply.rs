//! Bringing a ruleset into the kernel by one `nft -f -`.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Stdio;

use crate::bridge;
use crate::error::Error;
use crate::forwarding::{self, Opened};
use crate::lease::Lease;
use crate::probe::{self, Answer};
use crate::rules::{self, Change, Ruleset};
use crate::spec::Network;
use crate::store::{Departed, Lock, Store};
use crate::sys::Control;
use crate::tool::{self, NFT, Running};

/// So many links may have gone whose rules are still there.
const MOST_DEPARTED: usize = 128;

/// Rules on their way into the kernel. Nothing is reachable that should not be before
/// [`wait`](Self::wait) returns: only then is forwarding turned on.
#[derive(Debug)]
#[must_use = "rules that nobody waits for may not be there"]
pub struct PendingRules {
    networks: Vec<Pending>,
    /// `None` when the kernel has these very rules already.
    nft: Option<Running>,
    opened: Opened,
}

/// One network of those whose rules are on their way.
#[derive(Debug)]
struct Pending {
    network: Network,
    loopback: bool,
    /// `None` when the kernel has its rules already.
    ruleset: Option<Ruleset>,
}

impl PendingRules {
    /// Whether an `nft` was started: `false` when the kernel had these rules already.
    pub fn is_running(&self) -> bool {
        self.nft.is_some()
    }

    /// Waits until the rules are in force, then lets packets through: forwarding on the
    /// bridges and the host's interfaces, and loopback publishing.
    ///
    /// The bridges must exist by now.
    ///
    /// # Errors
    /// [`Error::Rules`] with `nft`'s own words, [`Error::Sysctl`], [`Error::Tool`] (also
    /// when something else in this process reaped `nft`).
    pub fn wait(mut self) -> Result<(), Error> {
        self.wait_for_nft()?;
        for pending in &self.networks {
            bridge::open(&pending.network, &self.opened, pending.loopback)?;
        }
        forwarding::open(&self.opened)
    }

    /// Waits for the rules and opens nothing: for rules that only take away.
    pub(crate) fn wait_rules(mut self) -> Result<(), Error> {
        self.wait_for_nft()
    }

    fn wait_for_nft(&mut self) -> Result<(), Error> {
        let Some(nft) = self.nft.take() else {
            return Ok(());
        };
        let Err(message) = nft.wait()? else {
            return Ok(());
        };
        log::debug!("{}: {message}", self.names());
        // There is a table against all appearance.
        let text = self.text(Ruleset::replacement);
        let Err(message) = start_nft(&text, Stdio::null(), Vec::new())?.wait()? else {
            return Ok(());
        };
        let text = self.text(Ruleset::without_frames);
        match start_nft(&text, Stdio::null(), Vec::new())?.wait()? {
            Ok(()) => {
                log::warn!(
                    "{}: containers of one network can pretend to be each other: {message}",
                    self.names()
                );
                Ok(())
            }
            Err(_) => Err(refused(&self.names(), &message)),
        }
    }

    fn text(&self, of: impl Fn(&Ruleset) -> String) -> String {
        let rulesets = { self.networks.iter() }.filter_map(|pending| pending.ruleset.as_ref());
        rulesets.map(of).collect()
    }

    fn names(&self) -> String {
        let names = { self.networks.iter() }.map(|pending| pending.network.name.as_str());
        names.collect::<Vec<_>>().join(", ")
    }
}

/// A network whose rules are to be applied.
pub(crate) struct Applied<'a> {
    pub(crate) network: Network,
    pub(crate) leases: Vec<Lease>,
    pub(crate) store: &'a Store,
    pub(crate) lock: &'a Lock,
}

/// Starts one `nft` with the rules of `networks`, unless the kernel has them.
///
/// `nft` gets copies of the locks, which it knows nothing of: whatever becomes of this process,
/// no other one can change the rules of these networks before they are complete.
pub(crate) fn start(directory: &Path, networks: Vec<Applied<'_>>) -> Result<PendingRules, Error> {
    let open4 = { networks.iter() }.any(|applied| !applied.network.internal);
    let open6 = { networks.iter() }
        .any(|applied| !applied.network.internal && applied.network.ipv6.is_some());
    let opened = if open4 {
        forwarding::plan(directory, open6)?
    } else {
        Opened::default()
    };
    let (mut text, mut locks, mut anew) = (String::new(), Vec::new(), Vec::new());
    let mut all = Vec::with_capacity(networks.len());
    for applied in networks {
        let Applied {
            network,
            leases,
            store,
            lock,
        } = applied;
        let table = rules::table(directory, &network.name);
        let guarded = if network.internal {
            &Opened::default()
        } else {
            &opened
        };
        let render = |departed| rules::render(&table, &network, &leases, guarded, departed);
        let departed = store.departed()?;
        let ruleset = render(&departed);
        let change = match ruleset.change() {
            // What has gone is still there, and must not pile up.
            Change::Addition(_) if departed.count() >= MOST_DEPARTED => Change::Replacement,
            change => change,
        };
        log::debug!(
            "network {}: rules {}, {}",
            network.name,
            ruleset.mark,
            match &change {
                Change::None => "there",
                Change::Creation => "new",
                Change::Addition(_) => "some new",
                Change::Replacement => "others",
            }
        );
        let ruleset = match &change {
            Change::None => None,
            Change::Addition(_) => Some(ruleset),
            Change::Creation | Change::Replacement => {
                anew.push(store);
                Some(render(&Departed::default()))
            }
        };
        if let Some(ruleset) = &ruleset {
            text += &match change {
                Change::Addition(new) => new,
                Change::Creation => ruleset.creation(),
                _ => ruleset.replacement(),
            };
            locks.push(lock.share().map_err(NFT.failed("start"))?);
        }
        all.push(Pending {
            loopback: rules::uses_loopback(&leases),
            network,
            ruleset,
        });
    }
    let nft = if text.is_empty() {
        None
    } else {
        let stdout = locks.pop().map_or_else(Stdio::null, Stdio::from);
        Some(start_nft(&text, stdout, locks)?)
    };
    // Not before: whatever becomes of this process now, `nft` goes on.
    anew.into_iter().try_for_each(Store::forget_departed)?;
    Ok(PendingRules {
        networks: all,
        nft,
        opened,
    })
}

/// A removal of rules on its way.
#[derive(Debug)]
pub(crate) struct PendingRemoval {
    nft: Running,
    table: String,
}

impl PendingRemoval {
    /// Waits until they are gone.
    pub(crate) fn wait(self, network: &str) -> Result<(), Error> {
        let Err(message) = self.nft.wait()? else {
            return Ok(());
        };
        // A kernel that cannot judge frames has no table of them.
        let text = rules::removal_of_packets(&self.table);
        match start_nft(&text, Stdio::null(), Vec::new())?.wait()? {
            Ok(()) => Ok(()),
            Err(_) => Err(refused(network, &message)),
        }
    }
}

/// Removes the tables of a network, when there are any.
pub(crate) fn remove(
    directory: &Path,
    network: &str,
    lock: Option<&Lock>,
) -> Result<Option<PendingRemoval>, Error> {
    let table = rules::table(directory, network);
    let text = rules::removal(&table);
    let stdout = match (rules::table_mark(&table).ask(), lock) {
        (Answer::Absent, _) => return Ok(None),
        // The kernel does not tell, and without the program there has been no table.
        (Answer::Unknown, _) if NFT.find().is_err() => return Ok(None),
        (_, Some(lock)) => Stdio::from(lock.share().map_err(NFT.failed("start"))?),
        (_, None) => Stdio::null(),
    };
    let nft = start_nft(&text, stdout, Vec::new())?;
    Ok(Some(PendingRemoval { nft, table }))
}

fn refused(network: &str, message: &str) -> Error {
    Error::Rules {
        network: network.to_owned(),
        message: message.to_owned(),
    }
}

fn start_nft(text: &str, stdout: Stdio, kept: Vec<OwnedFd>) -> Result<Running, Error> {
    // All of it is there before `nft` starts: it cannot see half a ruleset when this
    // process is killed, and we never wait for it to read.
    let input = tool::memory_text(text).map_err(NFT.failed("feed"))?;
    NFT.start_keeping(&["-f", "-"], Stdio::from(input), stdout, kept)
}

/// Whether the kernel has a table for this network, `None` when it does not tell.
pub(crate) fn has_table(directory: &Path, network: &str) -> Option<bool> {
    match rules::table_mark(&rules::table(directory, network)).ask() {
        Answer::Present if probe::is_answer_to_be_believed() => Some(true),
        Answer::Absent => Some(false),
        Answer::Present | Answer::Unknown => None,
    }
}

/// A control socket, with the error of this crate.
pub(crate) fn control(interface: &str) -> Result<Control, Error> {
    Control::open().map_err(crate::error::interface(
        "open a socket for ioctls",
        interface,
    ))
}
