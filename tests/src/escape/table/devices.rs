//! Devices that the container was not given.

use super::super::{By, Guard, Row, row};
use super::{USERNS, cap};

const OWN_DEV: Guard = Guard::new(By::Other("own /dev"), &["--device", "/dev/kmsg"]);
const DISK: Guard = listed(&["--device-cgroup-rule", "b *:* rwm"]);
const MEM: Guard = listed(&["--device-cgroup-rule", "c 1:1 rwm"]);
const FUSE: Guard = listed(&["--device-cgroup-rule", "c 10:229 rwm"]);
const KVM: Guard = listed(&["--device-cgroup-rule", "c 10:232 rwm"]);
const MKNOD: Guard = cap("MKNOD");

/// The list of devices, to which these flags add one.
const fn listed(off: &'static [&'static str]) -> Guard {
    Guard::new(By::Devices, off).alone("EPERM")
}

/// See the module.
pub const DEVICES: &[Row] = &[
    // What the kernel asks for besides depends on kernel.dmesg_restrict.
    row("dev-kmsg", "read the kernel's log: /dev/kmsg")
        .words(&["open-device", "/dev/kmsg"])
        .denied("ENOENT")
        .by(&[OWN_DEV.alone("ENOENT"), USERNS, cap("SYSLOG")]),
    row("disk", "make a node for the host's disk and read it")
        .words(&["open-disk"])
        .by(&[MKNOD.alone("EPERM"), USERNS.alone("EPERM"), DISK])
        // Some machines keep it from their own root.
        .if_possible_outside(),
    row(
        "dev-mem",
        "make a node for the machine's memory and read it",
    )
    .words(&["make-device", "1", "1"])
    .by(&[
        MKNOD.alone("EPERM"),
        USERNS.alone("EPERM"),
        MEM,
        cap("SYS_RAWIO").alone("EPERM"),
    ])
    .absent(&["ENXIO"]),
    row(
        "dev-fuse",
        "make a node for filesystems of its own: /dev/fuse",
    )
    .words(&["make-device", "10", "229"])
    .by(&[MKNOD.alone("EPERM"), USERNS.alone("EPERM"), FUSE])
    .absent(&["ENXIO", "ENODEV"]),
    row("dev-kvm", "make a node for virtual machines: /dev/kvm")
        .words(&["make-device", "10", "232"])
        .by(&[MKNOD.alone("EPERM"), USERNS.alone("EPERM"), KVM])
        .absent(&["ENXIO", "ENODEV"]),
];
