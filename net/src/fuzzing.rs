//! Private parsers and writers of this crate for its fuzz tests, in the package `coop-fuzz`.
//! They panic when a promise is broken.

use std::path::Path;

use crate::forwarding::Opened;
use crate::spec::{check_bridge, check_name};
use crate::store::Departed;
use crate::{Lease, Network, holder, naming, rules};

/// Names of networks, containers and bridges: what is accepted is one word for `ip` and `nft`
/// and one file, and gives interface names that the kernel takes.
pub fn names(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (network, container) = text.split_once('\n').unwrap_or((&text, "x"));
    let is_word = |text: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        text.bytes().all(plain) && text.starts_with(|c: char| c.is_ascii_alphanumeric())
    };
    if check_bridge(network).is_ok() {
        assert!(is_word(network) && network.len() < 16);
    }
    if check_name("network", network).is_err() || check_name("container", container).is_err() {
        return;
    }
    assert!(is_word(network) && is_word(container));
    let directory = Path::new("/run/coop/networks");
    for name in [
        naming::bridge(directory, network),
        naming::host_interface(directory, network, container),
        naming::table(directory, network),
    ] {
        assert!(is_word(&name) && name.len() < 16, "{name}");
    }
}

/// The files of a network (`network.json` and `leases/*.json`, one a line), made to rules. They
/// are the user's own, but may be damaged.
pub fn rules(data: &[u8]) {
    let mut files = data.split(|&byte| byte == b'\n');
    let Some(Ok(network)) = files.next().map(serde_json::from_slice::<Network>) else {
        return;
    };
    let leases: Vec<Lease> = files
        .filter_map(|file| serde_json::from_slice(file).ok())
        .collect();
    let written = rules::render(
        "coop_test",
        &network,
        &leases,
        &Opened::default(),
        &Departed::default(),
    );
    if check_name("network", &network.name).is_ok() && check_bridge(&network.bridge).is_ok() {
        let text = written.creation();
        let count = |c| text.matches(c).count();
        assert_eq!(count('{'), count('}'), "{text}");
        assert_eq!(count('"') % 2, 0, "{text}");
    }
}

/// What a container sends to the name server, and a name server's answer to that: the two
/// messages, the first one with its length before it.
#[cfg(feature = "dns")]
pub fn dns(data: &[u8]) {
    crate::dns::fuzzing::messages(data);
}

/// `/proc/net/tcp` and its kin.
pub fn sockets(data: &[u8]) {
    holder::parse(&String::from_utf8_lossy(data));
}
