//! Names of kernel objects, derived from what they belong to: whoever knows the state
//! directory can find and remove them, even when no file is left that says so.

use std::path::Path;

/// Every interface that this crate makes starts with this, unless a bridge name is given.
pub(crate) const PREFIX: &str = "coop";

/// The bridge of a network. Two state directories never share one.
pub(crate) fn bridge(directory: &Path, network: &str) -> String {
    format!(
        "{PREFIX}-{:010x}",
        hash(&[directory.as_os_str().as_encoded_bytes(), network.as_bytes()]) >> 24
    )
}

/// The nft table of a network.
pub(crate) fn table(directory: &Path, network: &str) -> String {
    bridge(directory, network).replace('-', "_")
}

/// The host's end of a container's link.
pub(crate) fn host_interface(directory: &Path, network: &str, container: &str) -> String {
    let parts = [
        directory.as_os_str().as_encoded_bytes(),
        network.as_bytes(),
        container.as_bytes(),
    ];
    format!("{PREFIX}v{:010x}", hash(&parts) >> 24)
}

/// Whether an interface of this name is the host's end of a container's link.
pub fn is_link(interface: &str) -> bool {
    interface
        .strip_prefix(PREFIX)
        .is_some_and(|rest| rest.starts_with('v'))
}

/// FNV-1a: the same in every build, unlike the hasher of the standard library.
/// Not for secrets.
pub(crate) fn hash(parts: &[&[u8]]) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(PRIME);
    // A zero byte between the parts: ("ab", "c") is not ("a", "bc").
    parts
        .iter()
        .fold(OFFSET, |hash, part| step(part.iter().fold(hash, step), &0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_an_interface_and_differ_by_directory() {
        let one = bridge(Path::new("/run/coop/networks"), "shop_default");
        let two = bridge(Path::new("/run/user/1000/coop/networks"), "shop_default");
        assert_ne!(one, two);
        assert_eq!(one.len(), 15);
        let end = host_interface(Path::new("/run/coop/networks"), "shop_default", "web");
        assert_eq!(end.len(), 15);
        assert_ne!(
            end,
            host_interface(Path::new("/run/coop/networks"), "other", "web")
        );
    }

    #[test]
    fn the_hash_is_fnv_1a() {
        // "a" and the closing zero byte.
        let a = 0xaf63_dc4c_8601_ec8c_u64;
        assert_eq!(hash(&[b"a"]), a.wrapping_mul(0x0100_0000_01b3));
    }
}
