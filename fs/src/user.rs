//! Users and groups by the image's own `/etc/passwd` and `/etc/group`.

use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat};
use rustix::io::Errno;

use crate::Error;
use crate::error::errno_of;
use crate::error::{Operation, at};
use crate::resolve::open_in_root;

/// The largest passwd or group file that is read, in bytes: an image must not be able to
/// fill the host's memory.
const MAX_FILE: u64 = 8 << 20;

/// The largest id: `runc` and Docker take no more, for the sake of signed ids.
const MAX_ID: u32 = i32::MAX as u32;

/// Who a container's process is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// User id inside the container.
    pub uid: u32,
    /// Group id inside the container.
    pub gid: u32,
    /// Supplementary groups: those that list the user, when no group was named.
    pub additional_gids: Vec<u32>,
    /// The name, when the user has an entry.
    pub name: Option<String>,
    /// The home directory; `/` for a user without an entry.
    pub home: PathBuf,
    /// The login shell, when the entry names one.
    pub shell: Option<PathBuf>,
}

/// Finds the user that `spec` means in the current root: in the child after
/// [`enter`](crate::enter).
///
/// `spec` is `name`, `uid`, `name:group`, `uid:gid` or a mixture; empty is root. A number
/// needs no entry. A name that is found comes before a number that looks the same, as in
/// Docker.
///
/// # Errors
/// [`Error::UnknownUser`], [`Error::UnknownGroup`], [`Error::IdRange`];
/// [`Error::UnusableFile`] when one of the two files is not for reading.
pub fn lookup_user(spec: &str) -> Result<User, Error> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = openat(CWD, "/", flags, Mode::empty()).map_err(at(Operation::Open, "/"))?;
    lookup_user_in(root.as_fd(), spec)
}

/// Like [`lookup_user`], in another root.
///
/// # Errors
/// Those of [`lookup_user`].
pub fn lookup_user_in(root: BorrowedFd<'_>, spec: &str) -> Result<User, Error> {
    let passwd = read_small(root, Path::new("/etc/passwd"))?;
    let group = read_small(root, Path::new("/etc/group"))?;
    find_user(&passwd, &group, spec)
}

/// Finds one more group in the current root by name or number, as for `--group-add`.
///
/// # Errors
/// [`Error::UnknownGroup`], [`Error::IdRange`], [`Error::UnusableFile`].
pub fn lookup_group(spec: &str) -> Result<u32, Error> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = openat(CWD, "/", flags, Mode::empty()).map_err(at(Operation::Open, "/"))?;
    find_group(&read_small(root.as_fd(), Path::new("/etc/group"))?, spec)
}

/// The text of a file in the image; empty when there is none.
fn read_small(root: BorrowedFd<'_>, path: &Path) -> Result<String, Error> {
    let unusable = |what| Error::UnusableFile {
        path: path.to_owned(),
        what,
    };
    let is_regular = |file: &OwnedFd| {
        let stat = fstat(file).map_err(at(Operation::Inspect, path))?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok(()),
            _ => Err(unusable("not a regular file")),
        }
    };
    // Looked at before it is opened: to open a device can be enough to have it do something.
    match open_in_root(root, path, OFlags::PATH) {
        Err(Error::System {
            errno: Errno::NOENT | Errno::NOTDIR,
            ..
        }) => {
            return Ok(String::new());
        }
        found => is_regular(&found?)?,
    }
    // In a container that runs it may be another one by now, and a FIFO would wait for a writer.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = open_in_root(root, path, flags)?;
    is_regular(&file)?;
    let mut bytes = Vec::new();
    std::fs::File::from(file)
        .take(MAX_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| at(Operation::Read, path)(errno_of(&error)))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(unusable("too large"));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// One line of `passwd(5)`.
struct PasswdEntry<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
    shell: &'a str,
}

fn passwd_entries(passwd: &str) -> impl Iterator<Item = PasswdEntry<'_>> {
    passwd.lines().filter_map(|line| {
        let mut fields = line.trim().split(':');
        let name = fields
            .next()
            .filter(|name| !name.is_empty() && !name.starts_with('#'))?;
        let (uid, gid) = (entry_id(fields.nth(1)?)?, entry_id(fields.next()?)?);
        let home = fields.nth(1).unwrap_or_default();
        let shell = fields.next().unwrap_or_default();
        Some(PasswdEntry {
            name,
            uid,
            gid,
            home,
            shell,
        })
    })
}

/// The id in an entry, which is an image's word: above the limit, the entry is as good as
/// none. To `setresuid(2)` the largest number of all means "as it is", which is root here.
fn entry_id(text: &str) -> Option<u32> {
    text.parse().ok().filter(|&id| id <= MAX_ID)
}

/// One line of `group(5)`.
struct GroupEntry<'a> {
    name: &'a str,
    gid: u32,
    members: &'a str,
}

fn group_entries(group: &str) -> impl Iterator<Item = GroupEntry<'_>> {
    group.lines().filter_map(|line| {
        let mut fields = line.trim().split(':');
        let name = fields
            .next()
            .filter(|name| !name.is_empty() && !name.starts_with('#'))?;
        let gid = entry_id(fields.nth(1)?)?;
        Some(GroupEntry {
            name,
            gid,
            members: fields.next().unwrap_or_default(),
        })
    })
}

fn find_user(passwd: &str, group: &str, spec: &str) -> Result<User, Error> {
    let (user_spec, group_spec) = match spec.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
        None => (spec, None),
    };
    let user_spec = if user_spec.is_empty() { "0" } else { user_spec };
    let number = parse_id(user_spec)?;
    let entry = passwd_entries(passwd)
        .find(|entry| entry.name == user_spec)
        .or_else(|| passwd_entries(passwd).find(|entry| Some(entry.uid) == number));
    let mut user = match (&entry, number) {
        (Some(entry), _) => User {
            uid: entry.uid,
            gid: entry.gid,
            additional_gids: Vec::new(),
            name: Some(entry.name.to_owned()),
            home: PathBuf::from(if entry.home.is_empty() {
                "/"
            } else {
                entry.home
            }),
            shell: Some(entry.shell)
                .filter(|shell| !shell.is_empty())
                .map(PathBuf::from),
        },
        (None, Some(uid)) => User {
            uid,
            gid: 0,
            additional_gids: Vec::new(),
            name: None,
            home: PathBuf::from("/"),
            shell: None,
        },
        (None, None) => {
            return Err(Error::UnknownUser {
                name: user_spec.to_owned(),
            });
        }
    };
    match (group_spec, entry) {
        (Some(group_spec), _) => user.gid = find_group(group, group_spec)?,
        (None, Some(entry)) => user.additional_gids = memberships(group, entry.name, user.gid),
        (None, None) => {}
    }
    Ok(user)
}

fn find_group(group: &str, spec: &str) -> Result<u32, Error> {
    if let Some(entry) = group_entries(group).find(|entry| entry.name == spec) {
        return Ok(entry.gid);
    }
    parse_id(spec)?.ok_or_else(|| Error::UnknownGroup {
        name: spec.to_owned(),
    })
}

/// The groups that list `name`, besides its own.
fn memberships(group: &str, name: &str, own: u32) -> Vec<u32> {
    let mut gids: Vec<u32> = group_entries(group)
        .filter(|entry| entry.gid != own)
        .filter(|entry| entry.members.split(',').any(|member| member.trim() == name))
        .map(|entry| entry.gid)
        .collect();
    gids.sort_unstable();
    gids.dedup();
    gids
}

/// The number that `text` is, or nothing when it is a name.
fn parse_id(text: &str) -> Result<Option<u32>, Error> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(None);
    }
    match text.parse() {
        Ok(id) if id <= MAX_ID => Ok(Some(id)),
        _ => Err(Error::IdRange {
            id: text.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n\
        # a comment\n\
        web:x:33:33::/var/www:/usr/sbin/nologin\n\
        broken line\n\
        1000:x:4242:4242:a name like a number:/home/odd:\n\
        bare:x:7:8\n";
    const GROUP: &str = "root:x:0:\ntty:x:5:web,other\nweb:x:33:web\naudio:x:29:web\nbad:x:y:web\n";

    fn find(spec: &str) -> User {
        find_user(PASSWD, GROUP, spec).unwrap()
    }

    #[test]
    fn a_name_gets_its_groups_and_home() {
        let web = find("web");
        assert_eq!((web.uid, web.gid), (33, 33));
        assert_eq!(web.additional_gids, [5, 29]);
        assert_eq!(web.home, Path::new("/var/www"));
        assert_eq!(find("bare").home, Path::new("/"));
    }

    #[test]
    fn nothing_is_root() {
        assert_eq!(find(""), find("root"));
        assert_eq!(find("0"), find("root"));
        assert_eq!(find(":tty").gid, 5);
    }

    #[test]
    fn a_number_needs_no_entry() {
        let user = find("12345:678");
        assert_eq!((user.uid, user.gid, user.name), (12345, 678, None));
        assert_eq!(find("12345").gid, 0);
        assert_eq!(find("33").name.as_deref(), Some("web"));
        let user = find_user("", "", "5").unwrap();
        assert_eq!((user.uid, user.home.as_path()), (5, Path::new("/")));
    }

    #[test]
    fn a_name_comes_before_a_number() {
        assert_eq!(find("1000").uid, 4242);
    }

    #[test]
    fn a_named_group_replaces_the_others() {
        let user = find("web:tty");
        assert_eq!((user.gid, user.additional_gids.len()), (5, 0));
        assert_eq!(find("web:29").gid, 29);
    }

    #[test]
    fn an_entry_cannot_leave_the_ids_as_they_are() {
        let passwd = "web:x:4294967295:33::/:\nweb:x:34:4294967295::/:\nweb:x:33:33::/:\n";
        let group = "all:x:4294967295:web\ntty:x:5:web\n";
        let user = find_user(passwd, group, "web").unwrap();
        assert_eq!((user.uid, user.gid), (33, 33));
        assert_eq!(user.additional_gids, [5]);
        assert!(find_user(passwd, group, "web:all").is_err());
    }

    #[test]
    fn says_what_is_missing() {
        let message = |spec| find_user(PASSWD, GROUP, spec).unwrap_err().to_string();
        assert!(message("nobody").contains("user \"nobody\""));
        assert!(message("web:nogroup").contains("group \"nogroup\""));
        assert!(message("2147483648").contains("2147483648"));
        assert!(message("0:99999999999").contains("99999999999"));
        assert!(message("-1").contains("\"-1\""));
    }

    proptest! {
        #[test]
        fn any_file_is_read_without_panic(passwd in "(.|\n|:){0,200}", group in "(.|\n|:){0,200}", spec in ".{0,16}") {
            let _ = find_user(&passwd, &group, &spec);
        }

        #[test]
        fn a_well_formed_entry_is_found(name in "[a-z_][a-z0-9_-]{0,15}", uid in 0..=MAX_ID, gid in 0..=MAX_ID) {
            let passwd = format!("junk\n{name}:x:{uid}:{gid}::/home/{name}:/bin/sh\n");
            let group = format!("{name}:x:{gid}:\nextra:x:77:{name}\n");
            let user = find_user(&passwd, &group, &name).unwrap();
            prop_assert_eq!((user.uid, user.gid), (uid, gid));
            prop_assert_eq!(user.additional_gids.contains(&77), gid != 77);
        }
    }
}
