//! `driver_opts` of a network: Docker's names for what its bridges can do.

use super::ParseError;

/// What the options of a network say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DriverOpts {
    /// The largest packet, in bytes.
    pub mtu: Option<u32>,
    /// The name of the bridge.
    pub bridge: Option<String>,
    /// Its containers do not reach one another.
    pub apart: bool,
    /// Its containers keep their addresses on their way out.
    pub routed: bool,
}

const MTU: &str = "com.docker.network.driver.mtu";
const BRIDGE: &str = "com.docker.network.bridge.name";
const ICC: &str = "com.docker.network.bridge.enable_icc";
const MASQUERADE: &str = "com.docker.network.bridge.enable_ip_masquerade";

/// What IPv6 takes (RFC 8200), and less than that some of IPv4 takes.
const LEAST_MTU: u32 = 68;
/// `ETH_MAX_MTU` of the kernel.
const MOST_MTU: u32 = 65535;

impl DriverOpts {
    /// Reads options by name.
    pub(crate) fn read<'a>(
        options: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, (&'a str, ParseError)> {
        let mut read = Self::default();
        for (name, value) in options {
            { read.set(name, value) }.map_err(|error| (name, error))?;
        }
        Ok(read)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), ParseError> {
        match name {
            MTU => {
                let fits = |mtu: &u32| (LEAST_MTU..=MOST_MTU).contains(mtu);
                let mtu = value.parse().ok().filter(fits);
                self.mtu = Some(mtu.ok_or_else(|| {
                    ParseError::new("not an MTU", "write a number of bytes from 68 to 65535")
                })?);
            }
            BRIDGE => self.bridge = Some(value.to_owned()),
            ICC => self.apart = !yes_no(value)?,
            MASQUERADE => self.routed = !yes_no(value)?,
            _ => {
                return Err(ParseError::new(
                    "Coop does not have this option",
                    "the options are com.docker.network.driver.mtu and \
                     com.docker.network.bridge.name, .enable_icc and .enable_ip_masquerade",
                ));
            }
        }
        Ok(())
    }
}

fn yes_no(value: &str) -> Result<bool, ParseError> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "1" | "t" => Ok(true),
        "false" | "0" | "f" => Ok(false),
        _ => Err(ParseError::new(
            "neither true nor false",
            "write true or false",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_known_by_dockers_names() {
        let read = DriverOpts::read([(MTU, "1400"), (BRIDGE, "br-x"), (ICC, "false")]).unwrap();
        assert_eq!(read.mtu, Some(1400));
        assert_eq!(read.bridge.as_deref(), Some("br-x"));
        assert!(read.apart && !read.routed);
        let (name, _) = DriverOpts::read([("mtu", "1400")]).unwrap_err();
        assert_eq!(name, "mtu");
        for (name, value) in [(MTU, "12"), (MTU, "x"), (ICC, "maybe")] {
            assert!(DriverOpts::read([(name, value)]).is_err(), "{name} {value}");
        }
    }
}
