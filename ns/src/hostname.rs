//! Host and domain name of a UTS namespace.

use crate::Error;

/// Longest name that the kernel takes, `__NEW_UTS_LEN`.
const MAX_NAME: usize = 64;

/// Longest label of RFC 1123.
const MAX_LABEL: usize = 63;

/// Checks that a name is made of RFC 1123 labels (letters, digits, inner hyphens; at most 63
/// bytes each) joined by dots, in at most 64 bytes, so that the kernel takes it and other
/// machines can resolve it.
///
/// # Errors
/// [`Error::InvalidHostname`] with the broken rule.
pub fn validate(name: &str) -> Result<(), Error> {
    match broken_rule(name) {
        None => Ok(()),
        Some(reason) => Err(Error::InvalidHostname {
            name: name.to_owned(),
            reason,
        }),
    }
}

fn broken_rule(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        return Some("it is empty");
    }
    if name.len() > MAX_NAME {
        return Some("it is longer than 64 bytes");
    }
    name.split('.').find_map(|label| {
        if label.is_empty() {
            Some("a label is empty")
        } else if label.len() > MAX_LABEL {
            Some("a label is longer than 63 bytes")
        } else if !label
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        {
            Some("only letters, digits, hyphens and dots are allowed")
        } else if label.starts_with('-') || label.ends_with('-') {
            Some("a label starts or ends with a hyphen")
        } else {
            None
        }
    })
}

/// Sets the host name of the calling process's UTS namespace, see `sethostname(2)`.
///
/// # Errors
/// [`Error::InvalidHostname`] or [`Error::SetHostname`].
pub fn set_hostname(name: &str) -> Result<(), Error> {
    validate(name)?;
    rustix::system::sethostname(name.as_bytes()).map_err(|source| Error::SetHostname {
        name: name.to_owned(),
        source,
    })
}

/// Sets the NIS domain name of the calling process's UTS namespace, see `setdomainname(2)`.
///
/// # Errors
/// [`Error::InvalidHostname`] or [`Error::SetDomainname`].
pub fn set_domainname(name: &str) -> Result<(), Error> {
    validate(name)?;
    rustix::system::setdomainname(name.as_bytes()).map_err(|source| Error::SetDomainname {
        name: name.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn usual_names_pass() {
        for name in ["web", "web-1", "3com", "a", "db.example.com", "UPPER"] {
            assert_eq!(validate(name), Ok(()), "{name}");
        }
        validate(&"a".repeat(63)).unwrap();
    }

    #[test]
    fn names_that_nothing_could_resolve_are_refused() {
        for name in [
            "", "-a", "a-", "a..b", ".a", "a.", "a_b", "a b", "ä", "a\0", "a/b",
        ] {
            assert!(validate(name).is_err(), "{name:?}");
        }
        assert!(validate(&"a".repeat(64)).is_err());
        assert!(validate(&format!("{}.b", "a".repeat(63))).is_err());
    }

    proptest! {
        #[test]
        fn a_valid_name_always_fits_the_kernel(name in "\\PC{0,80}") {
            if validate(&name).is_ok() {
                prop_assert!(name.is_ascii() && !name.is_empty() && name.len() <= 64);
            }
        }
    }
}
