//! Hardware addresses.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

/// An Ethernet hardware address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mac(pub [u8; 6]);

/// Text that is not a hardware address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a hardware address: {0:?} (write it as 02:42:0a:00:00:02)")]
pub struct MacError(String);

impl Mac {
    /// `02:42:` and the four bytes of the address, as Docker does. The second-lowest bit
    /// of the first byte says that the address is administered locally.
    pub fn for_address(address: Ipv4Addr) -> Self {
        let [a, b, c, d] = address.octets();
        Self([0x02, 0x42, a, b, c, d])
    }

    /// The IPv6 address that the kernel gives an interface with it, for the link alone
    /// (RFC 4291, appendix A).
    pub fn link_local(self) -> Ipv6Addr {
        let mac = self.0;
        let mut bytes = [0; 16];
        bytes[..2].copy_from_slice(&[0xfe, 0x80]);
        bytes[8..11].copy_from_slice(&mac[..3]);
        bytes[11..13].copy_from_slice(&[0xff, 0xfe]);
        bytes[13..].copy_from_slice(&mac[3..]);
        // Whether it is administered locally is said the other way round.
        bytes[8] ^= 2;
        Ipv6Addr::from(bytes)
    }

    /// Whether an interface can have it: it is not a group's, and not all zeros.
    pub fn is_of_one(self) -> bool {
        self.0[0] & 1 == 0 && self.0 != [0; 6]
    }
}

impl std::fmt::Display for Mac {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ":" };
            write!(f, "{separator}{byte:02x}")?;
        }
        Ok(())
    }
}

impl std::str::FromStr for Mac {
    type Err = MacError;

    fn from_str(text: &str) -> Result<Self, MacError> {
        let fail = || MacError(text.to_owned());
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let part = parts
                .next()
                .filter(|part| is_two_hex(part))
                .ok_or_else(fail)?;
            *byte = u8::from_str_radix(part, 16).map_err(|_| fail())?;
        }
        if parts.next().is_some() {
            return Err(fail());
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Mac {
    type Error = MacError;

    fn try_from(text: String) -> Result<Self, MacError> {
        text.parse()
    }
}

impl From<Mac> for String {
    fn from(mac: Mac) -> Self {
        mac.to_string()
    }
}

/// `from_str_radix` alone would take a sign.
fn is_two_hex(text: &str) -> bool {
    text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hardware_address_follows_the_address() {
        let mac = Mac::for_address(Ipv4Addr::new(172, 17, 0, 2));
        assert_eq!(mac.to_string(), "02:42:ac:11:00:02");
        assert_eq!("02:42:ac:11:00:02".parse(), Ok(mac));
        for text in [
            "",
            "02:42:ac:11:00",
            "02:42:ac:11:00:02:03",
            "2:42:ac:11:0:2",
            "02:42:ac:11:00:+2",
        ] {
            assert!(text.parse::<Mac>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_kernel_makes_an_address_of_it() {
        let mac = Mac::for_address(Ipv4Addr::new(172, 17, 0, 2));
        assert_eq!(mac.link_local().to_string(), "fe80::42:acff:fe11:2");
    }

    #[test]
    fn only_one_interface_can_have_an_address() {
        let of_one = |text: &str| text.parse::<Mac>().unwrap().is_of_one();
        assert!(of_one("02:42:ac:11:00:02"));
        assert!(!of_one("01:00:5e:00:00:01"));
        assert!(!of_one("00:00:00:00:00:00"));
    }
}
