//! Many containers on one machine: five stacks side by side, every container up, and nothing left.
//!
//! `COOP_SOAK=full` makes a thousand containers. What they cost is told, and not judged: a time
//! says more about the machine. That a container costs the same however many there are is what
//! `scale.rs` shows.

use std::time::{Duration, Instant};

use coop_tests::{Host, Stack, rounds};

const STACKS: usize = 5;

fn stack_of(host: &Host, number: usize, services: usize) -> Stack<'_> {
    let mut text = format!("name: s{number}\nservices:\n");
    for service in 0..services {
        let service = format!(
            "  w{service}: {{image: coop/host, command: sleep 100000, stop_signal: SIGKILL}}\n"
        );
        text.push_str(&service);
    }
    Stack::at(host, host.file(&format!("s{number}.yaml"), text))
}

fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    { line.and_then(|line| line.split_whitespace().nth(1)) }
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

#[test]
fn a_thousand_containers_come_and_go() {
    let each = rounds(100, 1000) / STACKS;
    let host = Host::new();
    let before = host.snapshot();
    let limit = Duration::from_secs(1800);
    let stacks: Vec<_> = { 0..STACKS }
        .map(|number| stack_of(&host, number, each))
        .collect();
    for stack in &stacks {
        let begun = Instant::now();
        stack.coop("up").arg("-d").timeout(limit).run().success();
        eprintln!("up of {each}: {:?}", begun.elapsed());
    }
    assert_eq!(host.containers().len(), STACKS * each);
    assert_eq!(host.supervisors().len(), STACKS);
    for supervisor in host.supervisors() {
        let kib = resident_kib(supervisor);
        eprintln!("supervisor of {each}: {kib} KiB");
    }
    for stack in &stacks {
        let begun = Instant::now();
        stack.coop("down").timeout(limit).run().success();
        eprintln!("down of {each}: {:?}", begun.elapsed());
    }
    host.assert_nothing_left(&before);
}
