//! A small policy for `SELinux`, as its compiler takes it: CIL.
//!
//! Hosts are `host_t` and may do everything. Containers are `container_t`; they may use what is
//! `container_file_t` and has none but their own categories, and what is of the host, but its
//! secrets.

use std::fmt::Write as _;

/// The kernel's initial identifiers, in its order.
const INITIAL: &str = "kernel security unlabeled fs file file_labels init any_socket port netif \
    netmsg node igmp_packet icmp_socket tcp_socket sysctl_modprobe sysctl sysctl_fs \
    sysctl_kernel sysctl_net sysctl_net_unix sysctl_vm sysctl_dev kmod policy scmp_packet devnull";

const FILES: &str = "ioctl read write create getattr setattr append map link unlink rename \
    execute open relabelfrom relabelto";

const CLASSES: [(&str, &str); 10] = [
    ("file", "execute_no_trans entrypoint"),
    ("dir", "add_name remove_name search"),
    ("lnk_file", ""),
    ("chr_file", ""),
    ("blk_file", ""),
    ("sock_file", ""),
    ("fifo_file", ""),
    ("process", "fork transition dyntransition setexec sigchld"),
    ("process2", "nnp_transition nosuid_transition"),
    (
        "filesystem",
        "mount remount associate relabelfrom relabelto",
    ),
];

/// As of files: so many categories.
const CATEGORIES: usize = 1024;

/// The text of the policy.
pub fn policy() -> String {
    let mut text = String::from(
        "(handleunknown allow)(mls true)(policycap nnp_nosuid_transition)\n\
         (typeattribute every)(typeattributeset every (host_t container_t container_file_t secret_t))\n\
         (typeattribute usable)(typeattributeset usable (host_t container_t container_file_t))\n",
    );
    let mut say = |line: std::fmt::Arguments<'_>| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{line}");
    };
    let names: Vec<_> = CLASSES.iter().map(|(class, _)| *class).collect();
    for (class, own) in CLASSES {
        let is_of_files = class.ends_with("file") || class == "dir";
        let shared = if is_of_files { FILES } else { "" };
        say(format_args!("(class {class} ({shared} {own}))"));
        say(format_args!("(allow host_t every ({class} (all)))"));
        say(format_args!("(allow container_t usable ({class} (all)))"));
    }
    say(format_args!("(classorder ({}))", names.join(" ")));
    say(format_args!("(allow every every (filesystem (associate)))"));
    let numbers = || (0..CATEGORIES).map(|number| format!("c{number}"));
    numbers().for_each(|it| say(format_args!("(category {it})")));
    let all: Vec<_> = numbers().collect();
    say(format_args!(
        "(sensitivity s0)(sensitivityorder (s0))(categoryorder ({}))\n\
         (sensitivitycategory s0 (range c0 c1023))(level low (s0))(level high (s0 (range c0 c1023)))\n\
         (levelrange whole (low high))(user system_u)(role system_r)(role object_r)\n\
         (userrole system_u system_r)(userrole system_u object_r)(userlevel system_u low)\n\
         (userrange system_u whole)",
        all.join(" ")
    ));
    for kind in ["host_t", "container_t", "container_file_t", "secret_t"] {
        say(format_args!(
            "(type {kind})(roletype system_r {kind})(roletype object_r {kind})"
        ));
    }
    for name in INITIAL.split_whitespace() {
        let context = match name {
            "kernel" | "init" => "system_u system_r host_t (low high)",
            _ => "system_u object_r host_t (low low)",
        };
        say(format_args!("(sid {name})(sidcontext {name} ({context}))"));
    }
    say(format_args!("(sidorder ({INITIAL}))"));
    for filesystem in ["ext4", "tmpfs", "overlay"] {
        say(format_args!(
            "(fsuse xattr {filesystem} (system_u object_r host_t (low low)))"
        ));
    }
    for filesystem in ["proc", "sysfs", "cgroup2", "rootfs", "selinuxfs"] {
        say(format_args!(
            "(genfscon {filesystem} \"/\" (system_u object_r host_t (low low)))"
        ));
    }
    // What a container's files are there for: they are of nobody else's categories.
    say(format_args!(
        "(mlsconstrain (file (read write open)) (or (dom h1 h2) (neq t1 container_t)))"
    ));
    text
}
