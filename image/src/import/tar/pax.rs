//! The records of a pax header: `LENGTH KEY=VALUE\n`, where the length counts all of it.

use std::collections::BTreeMap;

use rustix::fs::Timespec;

const XATTR: &[u8] = b"SCHILY.xattr.";

/// Records by key. A value may hold any byte: attributes are binary.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Pax(BTreeMap<Vec<u8>, Vec<u8>>);

impl Pax {
    pub(super) fn parse(mut bytes: &[u8]) -> Result<Self, &'static str> {
        const BAD: &str = "an extended header that breaks the pax format";
        let mut records = BTreeMap::new();
        while !bytes.is_empty() {
            let space = bytes
                .iter()
                .take(20)
                .position(|&byte| byte == b' ')
                .ok_or(BAD)?;
            let length = number(&bytes[..space]).ok_or(BAD)?;
            let length = usize::try_from(length).map_err(|_| BAD)?;
            if length <= space || length > bytes.len() {
                return Err(BAD);
            }
            let (record, rest) = bytes.split_at(length);
            let record = record[space + 1..].strip_suffix(b"\n").ok_or(BAD)?;
            let equals = record.iter().position(|&byte| byte == b'=').ok_or(BAD)?;
            records.insert(record[..equals].to_vec(), record[equals + 1..].to_vec());
            bytes = rest;
        }
        Ok(Self(records))
    }

    /// Adds records; those of `other` win. An empty value takes a key back, as POSIX
    /// says, but attributes may be empty.
    pub(super) fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
        self.0
            .retain(|key, value| !value.is_empty() || key.starts_with(XATTR));
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.0.get(key).map(Vec::as_slice)
    }

    pub(super) fn number(&self, key: &[u8]) -> Result<Option<u64>, String> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        let bad = || format!("a pax {} that is no number", String::from_utf8_lossy(key));
        number(value).map(Some).ok_or_else(bad)
    }

    pub(super) fn xattrs(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0
            .iter()
            .filter_map(|(key, value)| Some((key.strip_prefix(XATTR)?, value.as_slice())))
    }

    pub(super) fn is_sparse(&self) -> bool {
        self.0.keys().any(|key| key.starts_with(b"GNU.sparse."))
    }
}

pub(super) fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// `[-]seconds[.fraction]`
pub(super) fn time(text: &[u8]) -> Option<Timespec> {
    let text = std::str::from_utf8(text).ok()?;
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let tv_sec: i64 = seconds.parse().ok()?;
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let digits = fraction.bytes().chain(std::iter::repeat(b'0')).take(9);
    let tv_nsec = digits.fold(0, |n, digit| n * 10 + i64::from(digit - b'0'));
    // Before 1970 the fraction counts the other way.
    if text.starts_with('-') && tv_nsec > 0 {
        return Some(Timespec {
            tv_sec: tv_sec.checked_sub(1)?,
            tv_nsec: 1_000_000_000 - tv_nsec,
        });
    }
    Some(Timespec { tv_sec, tv_nsec })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_cut_by_length_and_not_by_line() {
        let pax = Pax::parse(b"12 path=a\nb\n22 SCHILY.xattr.u.x=\n\n").unwrap();
        assert_eq!(pax.get(b"path"), Some(b"a\nb".as_slice()));
        assert_eq!(
            pax.xattrs().collect::<Vec<_>>(),
            [(b"u.x".as_slice(), b"\n".as_slice())]
        );
    }

    #[test]
    fn records_that_lie_about_their_length_are_refused() {
        for bad in [
            "x",
            "5 a=b",
            "6 a=b\nx",
            "0 a=b\n",
            "99 a=b\n",
            "5 ab\n",
            "99999999999999999999 a=b\n",
        ] {
            assert!(Pax::parse(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_empty_value_takes_a_global_one_back() {
        let mut all = Pax::parse(b"9 uid=77\n").unwrap();
        all.merge(Pax::parse(b"7 uid=\n").unwrap());
        assert_eq!(all.number(b"uid"), Ok(None));
    }

    #[test]
    fn times_have_nanoseconds_and_may_be_before_1970() {
        let at = |text: &str| time(text.as_bytes()).map(|t| (t.tv_sec, t.tv_nsec));
        assert_eq!(at("12.5"), Some((12, 500_000_000)));
        assert_eq!(at("12.1234567899"), Some((12, 123_456_789)));
        assert_eq!(at("-1.25"), Some((-2, 750_000_000)));
        assert_eq!(at("7"), Some((7, 0)));
        assert_eq!(at("x"), None);
        assert_eq!(at("1.x"), None);
    }
}
