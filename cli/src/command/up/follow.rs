//! `up` on a stack that another process supervises: its lines are shown here, and Ctrl-C stops
//! it all the same.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use anyhow::Result;
use coop_launcher::logs::Stream;
use coop_launcher::store::{ContainerId, StackName, State};
use coop_launcher::supervisor::Client;

use super::Look;
use super::end::ExitCode;
use crate::command::logs::{self, Companion};
use crate::host::Host;
use crate::supervise::{self, INTERRUPTED, Interrupts};
use crate::ui::{ABORTING, STOPPING, print_bytes};

/// Shows what these containers write, but the `silent` ones, until all have ended.
pub(super) fn follow(
    host: &Host,
    name: &StackName,
    ids: &[ContainerId],
    silent: &BTreeSet<String>,
    look: Look,
    interrupts: Interrupts,
) -> Result<i32> {
    let mut watch = Watch {
        host,
        name,
        ids,
        interrupts,
        times: 0,
        end: look.end,
        aborting: false,
        asked: Vec::new(),
    };
    logs::follow_stack(host, ids, silent, look.style, &mut watch)?;
    Ok(if watch.times > 0 {
        INTERRUPTED
    } else {
        watch.end.code()
    })
}

/// The user, and the ends of containers.
struct Watch<'a> {
    host: &'a Host,
    name: &'a StackName,
    ids: &'a [ContainerId],
    interrupts: Interrupts,
    /// How often the user has asked for the end.
    times: u32,
    end: ExitCode,
    aborting: bool,
    /// A stop goes on as long as its connection is kept.
    asked: Vec<Client>,
}

impl Watch<'_> {
    fn stop(&mut self, words: &str, timeout: Option<Duration>) -> Result<()> {
        print_bytes(Stream::Stderr, format!("{words}\n").as_bytes())?;
        let asked = supervise::begin_to_stop(self.host, self.name, self.ids, timeout)?;
        self.asked.extend(asked);
        Ok(())
    }
}

impl Companion for Watch<'_> {
    fn wakes(&self) -> Option<BorrowedFd<'_>> {
        Some(self.interrupts.as_fd())
    }

    fn woken(&mut self) -> Result<()> {
        while self.interrupts.came()? {
            self.times += 1;
            match self.times {
                1 => self.stop(STOPPING, None)?,
                2 => self.stop("Killing...", Some(Duration::ZERO))?,
                _ => {}
            }
        }
        Ok(())
    }

    fn ended(&mut self, state: &State) -> Result<()> {
        let aborts = self.end.note(state) && self.times == 0;
        if aborts && !self.aborting {
            self.aborting = true;
            self.stop(ABORTING, None)?;
        }
        Ok(())
    }
}
