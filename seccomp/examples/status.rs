//! Takes this process the right to make directories, for good.
//!
//! `cargo run -p coop-seccomp --example status`

use coop_seccomp::{Action, Arch, Policy, Rule, mode};

const EPERM: u16 = 1;

fn main() -> anyhow::Result<()> {
    println!("seccomp: {}", mode()?);
    let mut policy = Policy::new(Action::Allow);
    policy
        .rules
        .push(Rule::new(["mkdir", "mkdirat"], Action::Errno(EPERM)));
    let program = policy.compile(Arch::native())?;
    println!("{} instructions", program.instructions().len());

    rustix::thread::set_no_new_privs(true)?;
    program.load(policy.flags)?;
    println!("seccomp: {}", mode()?);
    match std::fs::create_dir("never") {
        Ok(()) => anyhow::bail!("the filter has no effect"),
        Err(error) => println!("mkdir: {error}"),
    }
    Ok(())
}
