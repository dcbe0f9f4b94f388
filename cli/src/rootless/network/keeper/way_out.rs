//! Keeping the way out open: a thread in the host's network namespace, from which the program
//! is started, and started again when it ends.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use coop_net::WayOut;
use rustix::event::{EventfdFlags, eventfd};

/// A program that has ended is started again after this, and then less and less often: there may
/// be a network later that there is not now.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// After so long it has worked.
const WORKED: Duration = Duration::from_secs(60);

/// Whether there is a way out; none as long as that is not known.
type Status = Arc<Mutex<Option<Result<(), String>>>>;

/// See the module.
pub(super) struct WayOutKeeper {
    status: Status,
    news: Arc<OwnedFd>,
    begin: Sender<()>,
}

impl WayOutKeeper {
    /// Makes the thread, which waits for [`open`](Self::open). `namespace` is where the network
    /// namespace is mounted.
    pub(super) fn start(namespace: PathBuf) -> Result<Self> {
        let status = Status::default();
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let news = Arc::new(eventfd(0, flags).context("make an eventfd")?);
        let (begin, begun) = channel();
        let (told, tell) = (Arc::clone(&status), Arc::clone(&news));
        std::thread::Builder::new()
            .name("way-out".to_owned())
            .spawn(move || {
                if begun.recv().is_err() {
                    return;
                }
                keep_open(&namespace, &|is_open: Result<(), String>| {
                    *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(is_open);
                    let _ = rustix::io::write(&*tell, &1_u64.to_ne_bytes());
                });
            })
            .context("start a thread for the way out")?;
        Ok(Self {
            status,
            news,
            begin,
        })
    }

    /// Opens the way out, now that the namespace is there.
    pub(super) fn open(&self) {
        let _ = self.begin.send(());
    }

    /// Whether there is a way out; none as long as that is not known.
    pub(super) fn status(&self) -> Option<Result<(), String>> {
        let status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        status.clone()
    }

    /// The news are heard.
    pub(super) fn acknowledge(&self) {
        let _ = rustix::io::read(&*self.news, &mut [0_u8; 8]);
    }
}

/// Readable when there are news.
impl AsFd for WayOutKeeper {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.news.as_fd()
    }
}

fn keep_open(namespace: &std::path::Path, tell: &dyn Fn(Result<(), String>)) {
    let mut pause = FIRST_PAUSE;
    loop {
        let begun = Instant::now();
        let opened = WayOut::find().and_then(|kind| kind.open(namespace));
        let words = match opened {
            Err(error) => {
                let source = std::error::Error::source(&error).map(|it| format!(": {it}"));
                format!("{error}{}", source.unwrap_or_default())
            }
            Ok(mut open) => {
                if let Err(words) = open.wait_until_open(std::process::id()) {
                    words
                } else {
                    tell(Ok(()));
                    open.wait()
                }
            }
        };
        log::warn!("no way out of this user's networks: {words}");
        tell(Err(words));
        if begun.elapsed() > WORKED {
            pause = FIRST_PAUSE;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
