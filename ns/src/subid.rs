//! Subordinate ids: `/etc/subuid` and `/etc/subgid`, see `subuid(5)`, and the range of host
//! ids that containers are given where those files say nothing.

use std::fmt;
use std::path::Path;

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::Error;

/// A run of ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdRange {
    /// The first.
    pub start: u32,
    /// How many.
    pub count: u32,
}

impl IdRange {
    /// The first id after it; 64 bits, since a range may end with the last 32-bit id.
    pub fn end(self) -> u64 {
        u64::from(self.start) + u64::from(self.count)
    }

    /// Whether an id is in both.
    pub fn overlaps(self, other: Self) -> bool {
        u64::from(self.start) < other.end() && u64::from(other.start) < self.end()
    }

    /// The ids that are in both; `None` if there are none.
    fn intersection(self, other: Self) -> Option<Self> {
        let start = self.start.max(other.start);
        let count = self
            .end()
            .min(other.end())
            .checked_sub(u64::from(start))
            .filter(|count| *count > 0)?;
        Some(Self {
            start,
            count: u32::try_from(count).ok()?,
        })
    }
}

impl fmt::Display for IdRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{}", self.start, self.count)
    }
}

/// How many ids a container is given: all that 16 bits can name, so that `nobody` (65534)
/// exists in it.
pub const IDS_PER_CONTAINER: u32 = 65_536;

/// The ids that [`container_range`] falls back to: 1073741824 to 1879048191, enough for
/// 12,288 containers.
///
/// The upper part of 524288 to 1879048191, which [systemd's list of id ranges][uids] sets
/// aside for containers, so nothing on a system that follows it has users there, and `ps`
/// shows that such an id is a container's. The lower part is left to those who take theirs
/// from its start: `useradd` grants subordinate ids from 100000 to 600100000
/// (`login.defs(5)`), LXD customarily 1000000 to 1001000000. `systemd-nspawn -U` picks
/// anywhere in the whole range and asks the user database only: where it is used too, give
/// Coop a range of its own in `/etc/subuid` and `/etc/subgid`. Below 2^31, since parts of
/// the kernel (`devpts`) take ids as signed. A multiple of 65536, so that the upper 16 bits
/// of an id name the container and the lower 16 its user in it.
///
/// [uids]: https://systemd.io/UIDS-GIDS/
pub const DEFAULT_RANGE: IdRange = IdRange {
    start: 0x4000_0000,
    count: 0x3000_0000,
};

/// Names under which an administrator can set ids aside: ours, then the one that Podman's
/// `--userns=auto` made common.
const POOL_OWNERS: [&str; 2] = ["coop", "containers"];

/// The ids granted to a user in the text of `/etc/subuid` or `/etc/subgid`, in its order.
/// `owner` is a name; `id`, if given, is that user's number, by which a line may name it too.
/// Lines that are no grant are left out, as by `newuidmap(1)`.
pub fn parse(text: &str, owner: &str, id: Option<u32>) -> Vec<IdRange> {
    let id = id.map(|id| id.to_string());
    text.lines()
        .filter_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            let start = fields.next()?.parse().ok()?;
            let count = fields.next()?.trim_end().parse().ok()?;
            let range = IdRange { start, count };
            let ours = name == owner || id.as_deref() == Some(name);
            let valid = fields.next().is_none() && count > 0 && u32::try_from(range.end()).is_ok();
            (ours && valid).then_some(range)
        })
        .collect()
}

/// As [`parse`], from the file. A missing file grants nothing.
///
/// # Errors
/// [`Error::ReadSubids`].
pub fn read(path: &Path, owner: &str, id: Option<u32>) -> Result<Vec<IdRange>, Error> {
    Ok(parse(&read_text(path)?, owner, id))
}

fn read_text(path: &Path) -> Result<String, Error> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(Error::ReadSubids {
            path: path.to_owned(),
            source: Errno::from_io_error(&error).unwrap_or(Errno::IO),
        }),
    }
}

/// The host ids from which root's containers are given theirs: what `/etc/subuid` and
/// `/etc/subgid` both grant to `coop`, else to `containers`, else [`DEFAULT_RANGE`].
///
/// # Errors
/// [`Error::ReadSubids`].
pub fn container_range() -> Result<IdRange, Error> {
    let uids = read_text(Path::new("/etc/subuid"))?;
    let gids = read_text(Path::new("/etc/subgid"))?;
    Ok(choose(&uids, &gids))
}

fn choose(subuid: &str, subgid: &str) -> IdRange {
    POOL_OWNERS
        .into_iter()
        .find_map(|owner| {
            let gids = parse(subgid, owner, None);
            parse(subuid, owner, None)
                .into_iter()
                .flat_map(|uids| gids.iter().filter_map(move |gids| uids.intersection(*gids)))
                .filter(|range| range.count >= IDS_PER_CONTAINER)
                .max_by_key(|range| range.count)
        })
        .unwrap_or(DEFAULT_RANGE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SUBUID: &str = "\
# comment
alice:100000:65536
1001:165536:65536
containers:2147483647:2147483648
broken:1:
broken:x:1
broken:1:0
broken:1:2:3
alice:4294967295:1
alice:300000:10
";

    fn range(start: u32, count: u32) -> IdRange {
        IdRange { start, count }
    }

    #[test]
    fn a_user_is_found_by_name_or_number_and_broken_lines_grant_nothing() {
        assert_eq!(
            parse(SUBUID, "alice", None),
            [range(100_000, 65_536), range(300_000, 10)]
        );
        assert_eq!(parse(SUBUID, "bob", Some(1001)), [range(165_536, 65_536)]);
        assert!(parse(SUBUID, "broken", None).is_empty());
        assert!(parse(SUBUID, "bob", None).is_empty());
    }

    #[test]
    fn containers_get_what_the_administrator_set_aside_for_users_and_groups_alike() {
        assert_eq!(choose("", ""), DEFAULT_RANGE);
        let containers = range(2_147_483_647, 2_147_483_648);
        assert_eq!(choose(SUBUID, SUBUID), containers);
        let coop = "coop:1000000:655360\n";
        assert_eq!(
            choose(&format!("{SUBUID}{coop}"), "coop:1065536:999999\n"),
            range(1_065_536, 589_824)
        );
        // Users but no groups, or too few for one container: of no use.
        assert_eq!(choose(coop, ""), DEFAULT_RANGE);
        assert_eq!(choose("coop:1:100\n", "coop:1:100\n"), DEFAULT_RANGE);
    }

    #[test]
    fn the_default_is_aligned_and_within_the_range_for_containers() {
        assert_eq!(DEFAULT_RANGE.start % IDS_PER_CONTAINER, 0);
        assert_eq!(DEFAULT_RANGE.end(), 1_879_048_192);
    }

    proptest! {
        #[test]
        fn no_file_makes_the_parser_panic(text in "[a-z0-9:\\n -]{0,200}") {
            for granted in parse(&text, "a", Some(0)) {
                prop_assert!(granted.count > 0 && u32::try_from(granted.end()).is_ok());
            }
        }

        #[test]
        fn an_intersection_is_inside_of_both(
            a in (any::<u32>(), any::<u32>()), b in (any::<u32>(), any::<u32>())
        ) {
            let (a, b) = (range(a.0, a.1), range(b.0, b.1));
            match a.intersection(b) {
                Some(both) => {
                    prop_assert!(both.overlaps(a) && both.overlaps(b));
                    prop_assert!(both.end() <= a.end().min(b.end()));
                }
                None => prop_assert!(!a.overlaps(b) || a.count == 0 || b.count == 0),
            }
        }
    }
}
