//! Values that the stack file and the command line write in the same way.
//!
//! Every type parses from text (`FromStr`), prints the canonical form that parses
//! back to the same value (`Display`), and is a string to serde.

mod bytes;
mod cpu;
mod device;
mod driver_opts;
mod duration;
mod env;
mod extra_host;
mod ip_net;
mod landlock;
mod limit;
mod namespace;
mod network_flag;
mod number;
mod port;
mod restart;
mod rootfs;
mod seccomp;
mod security;
mod shape;
mod signal;
mod tmpfs;
mod ulimit;
mod user;
mod userns;
mod volume;

pub(crate) use bytes::ByteSize;
pub(crate) use cpu::{CpuFlag, Cpus};
pub(crate) use device::{DeviceMapping, Permissions};
pub(crate) use driver_opts::DriverOpts;
pub(crate) use duration::Duration;
pub(crate) use env::{EnvEntry, Label, check_name as check_env_name};
pub(crate) use extra_host::{ExtraHost, HostAddress};
pub(crate) use ip_net::IpNet;
pub(crate) use landlock::{LANDLOCK_ACCESSES, LandlockRule};
pub(crate) use limit::{PidsLimit, SwapLimit};
pub(crate) use namespace::{CgroupMode, IpcMode, NetworkMode, Peer, PidMode, UtsMode};
pub(crate) use network_flag::NetworkFlag;
pub(crate) use number::{BlkioWeight, Group, OomScoreAdj, Swappiness, Sysctl};
pub(crate) use port::Port;
pub(crate) use restart::Restart;
pub(crate) use rootfs::RootfsMode;
pub(crate) use seccomp::{CallName, CompatArch, SeccompProfile};
pub(crate) use security::{ContextPart, SecurityOpt};
pub(crate) use shape::{ShapeFlag, as_written, check_shape, from_net};
pub(crate) use signal::Signal;
pub(crate) use tmpfs::{TmpfsMount, TmpfsOptions, octal};
pub(crate) use ulimit::Ulimit;
pub(crate) use user::UserSpec;
pub(crate) use userns::{IdMapLine, UsernsMode};
pub(crate) use volume::{
    BindOptions, Mount, MountKind, Selinux, VolumeOptions, check_target, check_volume_name,
};

/// Why a value does not parse, and how such a value is written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}; {form}")]
pub struct ParseError {
    /// What is wrong with this value.
    pub why: String,
    /// What a right one looks like, as a sentence without a full stop.
    pub form: &'static str,
}

impl ParseError {
    pub(crate) fn new(why: impl Into<String>, form: &'static str) -> Self {
        Self {
            why: why.into(),
            form,
        }
    }
}

/// Serialises a type by its `Display` and deserialises it by its `FromStr`; a bare
/// number deserialises as its text.
macro_rules! serde_as_text {
    ($type:ty) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        $crate::stack::value::deserialize_from_text!($type);
    };
}
use serde_as_text;

/// Deserialises a type by its `FromStr`, a number as its text.
macro_rules! deserialize_from_text {
    ($type:ty) => {
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = <$crate::stack::value::Text as serde::Deserialize>::deserialize(d)?;
                text.0.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
use deserialize_from_text;

/// Text, or a number taken as its text.
struct Text(String);

impl<'de> serde::Deserialize<'de> for Text {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Text;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string or a number")
            }
            fn visit_str<E>(self, v: &str) -> Result<Text, E> {
                Ok(Text(v.to_owned()))
            }
            fn visit_u64<E>(self, v: u64) -> Result<Text, E> {
                Ok(Text(v.to_string()))
            }
            fn visit_i64<E>(self, v: i64) -> Result<Text, E> {
                Ok(Text(v.to_string()))
            }
            fn visit_f64<E>(self, v: f64) -> Result<Text, E> {
                Ok(Text(v.to_string()))
            }
        }
        d.deserialize_any(Visitor)
    }
}

/// Parses a decimal number such as `1`, `1.5` or `.5` as a whole number of
/// `1 / 10^scale`, exactly: no floating point, so that `0.1` stays a tenth.
/// More digits than `scale` are an error unless they are zeros.
pub(crate) fn decimal(text: &str, scale: u32) -> Option<u128> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let scale = scale as usize;
    let (kept, rest) = fraction.split_at(fraction.len().min(scale));
    if rest.bytes().any(|b| b != b'0') {
        return None;
    }
    let whole: u128 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let fraction: u128 = format!("{kept:0<scale$}0").parse::<u128>().ok()? / 10;
    whole
        .checked_mul(10u128.checked_pow(scale as u32)?)?
        .checked_add(fraction)
}

#[cfg(test)]
mod tests {
    use super::decimal;

    #[test]
    fn decimals_are_exact() {
        assert_eq!(decimal("0.1", 9), Some(100_000_000));
        assert_eq!(decimal(".5", 1), Some(5));
        assert_eq!(decimal("2", 0), Some(2));
        assert_eq!(decimal("2.0", 0), Some(2));
        assert_eq!(decimal("2.5", 0), None);
        for bad in ["", ".", "-1", "+1", "1e3", "1.2.3", "nan", "1 "] {
            assert_eq!(decimal(bad, 3), None, "{bad}");
        }
    }
}
