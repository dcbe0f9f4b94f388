//! Directories and files that every root filesystem has.

use super::builder::{Builder, MERGED};
use crate::error::Error;

pub(super) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

const DIRECTORIES: &[(&str, u32)] = &[
    ("", 0o755),
    ("dev", 0o755),
    ("etc", 0o755),
    ("home", 0o755),
    ("mnt", 0o755),
    ("opt", 0o755),
    ("proc", 0o555),
    ("root", 0o700),
    ("run", 0o755),
    ("run/lock", 0o1777),
    ("srv", 0o755),
    ("sys", 0o555),
    ("tmp", 0o1777),
    ("usr", 0o755),
    ("usr/bin", 0o755),
    ("usr/lib", 0o755),
    ("usr/lib64", 0o755),
    ("usr/local", 0o755),
    ("usr/local/bin", 0o755),
    ("usr/local/sbin", 0o755),
    ("usr/share", 0o755),
    ("var", 0o755),
    ("var/cache", 0o755),
    ("var/lib", 0o755),
    ("var/log", 0o755),
    ("var/spool", 0o755),
    ("var/tmp", 0o1777),
    ("www", 0o755),
];

const LINKS: &[(&str, &str)] = &[
    ("var/run", "../run"),
    ("var/lock", "../run/lock"),
    ("etc/mtab", "../proc/self/mounts"),
];

const FILES: &[(&str, u32, &str)] = &[
    ("etc/passwd", 0o644, PASSWD),
    ("etc/group", 0o644, GROUP),
    ("etc/shadow", 0o640, SHADOW),
    ("etc/shells", 0o644, "/bin/sh\n"),
    // Coop mounts the container's own files over these three.
    (
        "etc/hosts",
        0o644,
        "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n",
    ),
    ("etc/hostname", 0o644, ""),
    ("etc/resolv.conf", 0o644, ""),
    ("etc/nsswitch.conf", 0o644, NSSWITCH),
    ("etc/os-release", 0o644, OS_RELEASE),
    ("www/index.html", 0o644, INDEX),
];

const PASSWD: &str = "\
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
bin:x:2:2:bin:/bin:/bin/false
sys:x:3:3:sys:/dev:/bin/false
www-data:x:33:33:www-data:/www:/bin/false
nobody:x:65534:65534:nobody:/:/bin/false
";

const GROUP: &str = "\
root:x:0:
daemon:x:1:
bin:x:2:
sys:x:3:
adm:x:4:
tty:x:5:
disk:x:6:
mail:x:8:
www-data:x:33:
utmp:x:43:
staff:x:50:
users:x:100:
nogroup:x:65534:
";

/// No password fits.
const SHADOW: &str = "\
root:*:::::::
daemon:*:::::::
bin:*:::::::
sys:*:::::::
www-data:*:::::::
nobody:*:::::::
";

const NSSWITCH: &str = "\
passwd: files
group: files
shadow: files
hosts: files dns
networks: files
protocols: files
services: files
";

const OS_RELEASE: &str = concat!(
    "NAME=\"Coop host image\"\n",
    "PRETTY_NAME=\"Coop host image ",
    env!("CARGO_PKG_VERSION"),
    "\"\n",
    "ID=coop-host\n",
    "VERSION_ID=\"",
    env!("CARGO_PKG_VERSION"),
    "\"\n",
);

const INDEX: &str = "\
<!doctype html>
<html lang=\"en\">
<head><meta charset=\"utf-8\"><title>Coop</title></head>
<body><h1>It works</h1><p>This page is served from a container of the Coop host image.</p></body>
</html>
";

pub(super) fn write(builder: &mut Builder<'_>) -> Result<(), Error> {
    for (path, mode) in DIRECTORIES {
        builder.directory(path, *mode)?;
    }
    for (path, target) in MERGED {
        // Relative, so that they hold for a root that is mounted anywhere.
        let target = if path.contains('/') { "bin" } else { target };
        builder.symlink(path, target)?;
    }
    for (path, target) in LINKS {
        builder.symlink(path, target)?;
    }
    for (path, mode, content) in FILES {
        builder.text(path, *mode, content)?;
    }
    let profile = format!("export PATH={PATH}\nexport PS1='\\u@\\h:\\w\\$ '\numask 022\n");
    builder.text("etc/profile", 0o644, &profile)
}
