//! The table: what is attacked, what stops it, and how that is turned off.
//!
//! Each part is one theme. [`ALL`] has them in the order in which they are printed.

mod devices;
mod files;
mod kernel;
mod limits;
mod mounts;
mod network;
mod privileges;
mod processes;

use super::{By, Guard, Row};

pub use devices::DEVICES;
pub use files::FILES;
pub use kernel::KERNEL;
pub use limits::LIMITS;
pub use mounts::MOUNTS;
pub use network::NETWORK;
pub use privileges::PRIVILEGES;
pub use processes::PROCESSES;

/// All parts of the table, with what each is about.
pub const ALL: [(&str, &[Row]); 8] = [
    ("processes", PROCESSES),
    ("files", FILES),
    ("mounts and namespaces", MOUNTS),
    ("devices", DEVICES),
    ("network", NETWORK),
    ("kernel", KERNEL),
    ("privileges", PRIVILEGES),
    ("limits", LIMITS),
];

/// All rows, with the part that each is in.
pub fn rows() -> impl Iterator<Item = (&'static str, &'static Row)> {
    ALL.into_iter()
        .flat_map(|(part, rows)| rows.iter().map(move |row| (part, row)))
}

const USERNS: Guard = Guard::new(By::UserNamespace, &["--userns", "host"]);
const SECCOMP: Guard = Guard::new(By::Seccomp, &["--security-opt", "seccomp=unconfined"]);
const MASK: Guard = Guard::new(By::Mask, &["--security-opt", "systempaths=unconfined"]);
const READ_ONLY: Guard = Guard::new(By::ReadOnly, &["--security-opt", "systempaths=unconfined"]);
/// `/sys` and the cgroups in it are writable in a privileged container alone.
const READ_ONLY_SYS: Guard = Guard::new(By::ReadOnly, &["--privileged"]);
const PID: Guard = Guard::new(By::Namespace("pid"), &["--pid", "host"]);
const ADMIN: Guard = cap("SYS_ADMIN");

/// That the container lacks a capability.
const fn cap(name: &'static str) -> Guard {
    Guard::new(By::Capability(name), &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_rows_have_one_name_and_all_have_a_guard() {
        let rows: Vec<_> = rows().map(|(_, row)| row).collect();
        for (position, row) in rows.iter().enumerate() {
            let same = rows[position + 1..]
                .iter()
                .any(|other| other.name == row.name);
            assert!(!same, "two rows are called {}", row.name);
            assert!(
                !row.guards.is_empty(),
                "nothing guards against {}",
                row.name
            );
        }
    }
}
