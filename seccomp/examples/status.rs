//! Prints whether this process's system calls are filtered, before and after the profile is
//! put in force: `cargo run -p coop-seccomp --example status`.

use anyhow::Result;
use coop_seccomp::{Profile, mode};

fn main() -> Result<()> {
    println!("seccomp before: {}", mode()?);
    let profile = Profile::default();
    profile.apply()?;
    println!("seccomp with profile {profile:?}: {}", mode()?);
    Ok(())
}
