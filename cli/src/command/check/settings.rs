//! Settings of the kernel that make what a container, or any user, could attack larger.

use std::path::Path;

use super::finding::{Finding, Part};
use super::kernel::read;

/// A kernel parameter.
struct Setting {
    name: &'static str,
    /// The least value that is good.
    least: i64,
    /// What a smaller one means.
    why: &'static str,
}

const SETTINGS: [Setting; 9] = [
    least(
        "kernel.dmesg_restrict",
        1,
        "every user reads the kernel's log, with addresses in it",
    ),
    least(
        "kernel.kptr_restrict",
        1,
        "addresses of the kernel are shown in /proc",
    ),
    least(
        "kernel.unprivileged_bpf_disabled",
        1,
        "every user loads programs into the kernel",
    ),
    least(
        "kernel.perf_event_paranoid",
        2,
        "every user measures the kernel",
    ),
    least(
        "kernel.randomize_va_space",
        2,
        "addresses of programs can be guessed",
    ),
    least(
        "kernel.yama.ptrace_scope",
        1,
        "programs of one user read each other's memory",
    ),
    least(
        "fs.protected_symlinks",
        1,
        "links in /tmp lead programs astray",
    ),
    least(
        "fs.protected_hardlinks",
        1,
        "links in /tmp lead programs astray",
    ),
    least(
        "fs.protected_fifos",
        1,
        "pipes in /tmp lead programs astray",
    ),
];

/// Those that are good when they are 0.
const OFF: [Setting; 2] = [
    least(
        "vm.unprivileged_userfaultfd",
        0,
        "every user stops the kernel in the middle of a copy",
    ),
    least(
        "dev.tty.legacy_tiocsti",
        0,
        "a program types on the terminal that it was given",
    ),
];

const fn least(name: &'static str, least: i64, why: &'static str) -> Setting {
    Setting { name, least, why }
}

/// What is not there is left out: the kernel has nothing that it would be about.
pub(super) fn look() -> Vec<Finding> {
    let value = |setting: &Setting| -> Option<i64> {
        let path = setting.name.replace('.', "/");
        read(Path::new("/proc/sys").join(path))?.parse().ok()
    };
    let large = SETTINGS.iter().filter_map(|setting| {
        let value = value(setting)?;
        Some(judge(setting, value, value >= setting.least))
    });
    let off = OFF.iter().filter_map(|setting| {
        let value = value(setting)?;
        Some(judge(setting, value, value == 0))
    });
    large.chain(off).collect()
}

fn judge(setting: &Setting, value: i64, is_good: bool) -> Finding {
    let Setting { name, least, why } = setting;
    let finding = Finding::new(Part::Settings, *name, value.to_string());
    if is_good {
        finding
    } else {
        finding.weak(format!("{why}: sysctl {name}={least}"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    #[test]
    fn a_setting_that_is_too_small_comes_with_the_command_that_mends_it() {
        let setting = &SETTINGS[0];
        assert_eq!(judge(setting, 1, true).advice, None);
        let weak = judge(setting, 0, false);
        assert_eq!(weak.verdict, Verdict::Weak);
        assert!(
            weak.advice
                .unwrap()
                .ends_with("sysctl kernel.dmesg_restrict=1")
        );
    }
}
