//! Which control group hierarchies are mounted where, from `/proc/self/mountinfo`.
//!
//! See [proc_pid_mountinfo(5)](https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html).

use std::path::PathBuf;

use crate::controller::Controllers;

/// One mounted hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    /// Which group of the hierarchy the mount shows; `/` for all of it.
    pub(crate) root: String,
    /// Where it is mounted.
    pub(crate) point: PathBuf,
    /// What it is.
    pub(crate) kind: Kind,
}

/// Kind of hierarchy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The unified hierarchy of v2.
    Unified,
    /// A v1 hierarchy with these controllers (more than one when they are co-mounted).
    Legacy(Controllers),
}

/// The hierarchies in a mountinfo text, one mount each.
///
/// A hierarchy mounted twice is listed once, by the mount that shows the most of it: the
/// first with root `/`, else the first. Named v1 hierarchies (`name=systemd`) and
/// controllers that Coop does not use are left out.
pub(crate) fn parse(text: &str) -> Vec<Mount> {
    let mut mounts: Vec<Mount> = Vec::new();
    for line in text.lines() {
        // A host can have thousands of mounts: look at the type before anything else.
        // No other field can hold " - ": blanks in names are written as \040.
        let Some((left, right)) = line.split_once(" - cgroup") else {
            continue;
        };
        let Some(mount) = mount(left, right) else {
            continue;
        };
        match mounts.iter_mut().find(|known| known.kind == mount.kind) {
            Some(known) if known.root != "/" && mount.root == "/" => *known = mount,
            Some(_) => {}
            None => mounts.push(mount),
        }
    }
    mounts
}

// `left` ends before the separator, `right` starts after "cgroup".
fn mount(left: &str, right: &str) -> Option<Mount> {
    let (version, rest) = right.split_once(' ')?;
    let kind = match version {
        "2" => Kind::Unified,
        "" => {
            let (_source, options) = rest.split_once(' ')?;
            Kind::Legacy(Controllers::parse(options, ','))
        }
        _ => return None,
    };
    if kind == Kind::Legacy(Controllers::NONE) {
        return None;
    }
    let mut fields = left.split(' ').skip(3);
    let root = unescape(fields.next()?);
    let point = PathBuf::from(unescape(fields.next()?));
    (root.starts_with('/') && point.is_absolute()).then_some(Mount { root, point, kind })
}

/// Undoes the kernel's `\ooo` for blank, tab, newline and backslash.
fn unescape(field: &str) -> String {
    let mut parts = field.split('\\');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part
            .get(..3)
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code {
            Some(code) if code.is_ascii() => {
                plain.push(char::from(code));
                plain.push_str(&part[3..]);
            }
            _ => {
                plain.push('\\');
                plain.push_str(part);
            }
        }
    }
    plain
}

/// Our own position, from `/proc/self/cgroup`: the path in the unified hierarchy
/// (`controllers` is `None`) or in the v1 hierarchy that has one of them.
pub(crate) fn own_position(text: &str, controllers: Option<Controllers>) -> Option<&str> {
    text.lines().find_map(|line| {
        let (_id, rest) = line.split_once(':')?;
        let (names, path) = rest.split_once(':')?;
        let ours = match controllers {
            None => names.is_empty(),
            Some(wanted) => Controllers::parse(names, ',').intersects(wanted),
        };
        ours.then_some(path)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::Controller;
    use proptest::prelude::*;

    const HYBRID: &str = "\
31 23 0:28 / /sys/fs/cgroup ro,nosuid,nodev,noexec shared:9 - tmpfs tmpfs ro,mode=755
32 31 0:29 / /sys/fs/cgroup/unified rw,nosuid shared:10 - cgroup2 cgroup2 rw,nsdelegate
33 31 0:30 / /sys/fs/cgroup/systemd rw,nosuid shared:11 - cgroup cgroup rw,xattr,name=systemd
34 31 0:31 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:12 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/net_cls,net_prio rw shared:13 - cgroup cgroup rw,net_cls,net_prio
36 31 0:33 /docker/3f2a /odd\\040place/memory rw - cgroup cgroup rw,memory
37 31 0:33 / /sys/fs/cgroup/memory rw shared:15 - cgroup cgroup rw,memory
";

    #[test]
    fn a_hybrid_host_has_one_entry_a_hierarchy() {
        let mounts = parse(HYBRID);
        let cpu = Controllers::NONE
            .with(Controller::Cpu)
            .with(Controller::Cpuacct);
        let kinds: Vec<_> = mounts.iter().map(|mount| mount.kind).collect();
        let memory = Controllers::NONE.with(Controller::Memory);
        assert_eq!(
            kinds,
            [Kind::Unified, Kind::Legacy(cpu), Kind::Legacy(memory)]
        );
        assert_eq!(mounts[1].point.as_os_str(), "/sys/fs/cgroup/cpu,cpuacct");
        // The mount that shows the whole hierarchy wins.
        assert_eq!(mounts[2].point.as_os_str(), "/sys/fs/cgroup/memory");
    }

    #[test]
    fn a_mount_point_with_blanks_is_decoded() {
        let memory = HYBRID.lines().find(|line| line.contains("docker")).unwrap();
        let [mount] = parse(memory).try_into().unwrap();
        assert_eq!(mount.point.as_os_str(), "/odd place/memory");
        assert_eq!(mount.root, "/docker/3f2a");
        assert_eq!(unescape(r"a\134b\011c\0"), "a\\b\tc\\0");
    }

    #[test]
    fn our_position_is_found_by_hierarchy() {
        let text = "9:name=systemd:/init\n4:memory:/a/b\n3:cpu,cpuacct:/c:d\n0::/user.slice\n";
        let only = |controller| Some(Controllers::NONE.with(controller));
        assert_eq!(own_position(text, None), Some("/user.slice"));
        assert_eq!(own_position(text, only(Controller::Memory)), Some("/a/b"));
        assert_eq!(own_position(text, only(Controller::Cpuacct)), Some("/c:d"));
        assert_eq!(own_position(text, only(Controller::Pids)), None);
    }

    proptest! {
        #[test]
        fn nothing_makes_the_parser_fail(text in "[ -~\n]{0,400}") {
            let _ = parse(&text);
            let _ = own_position(&text, None);
        }

        #[test]
        fn any_mount_point_comes_back(name in "[^/\0]{1,20}") {
            let escaped: String = name
                .chars()
                .map(|c| match c {
                    ' ' | '\t' | '\n' | '\\' => format!("\\{:03o}", c as u32),
                    c => c.to_string(),
                })
                .collect();
            let line = format!("36 31 0:33 / /{escaped} rw,nosuid shared:1 - cgroup2 none rw");
            // `lines` ends at a carriage return before a newline only, which is not here.
            let mounts = parse(&line);
            prop_assert_eq!(mounts.len(), 1);
            prop_assert_eq!(mounts[0].point.to_str().unwrap(), format!("/{name}"));
        }
    }
}
