//! Names are answered for by any supervisor of a network, and by those that follow one that was killed.

use coop_tests::ask::{self, ASK, address, asking, told, told_in};
use coop_tests::{Host, Rootfs, wait_until};

const SLEEP: &str = "exec sleep 1000";

#[test]
fn containers_of_several_supervisors_know_one_another_whoever_dies() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    let volume = ask::volume();
    let flags = ["-v", &volume, "--stop-timeout", "0"];
    for name in ["one", "two", "three"] {
        host.start(name, &root, &flags, SLEEP);
    }
    let answer = |name: &str| format!("NoError aa ra 5={}", address(&host, name));
    let all = [answer("one"), answer("two"), answer("three")];
    assert_eq!(host.supervisors().len(), 3);
    for name in ["one", "two", "three"] {
        // Each query has another port: it comes to any of them.
        for _ in 0..4 {
            assert_eq!(told_in(&host, name, "- one two three"), all, "{name}");
        }
    }
    let kill = |pid: u32| {
        let pid = rustix::process::Pid::from_raw(pid as i32).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    };
    let [first, second, _] = host.supervisors()[..] else {
        panic!("three supervisors");
    };
    kill(first);
    kill(second);
    wait_until("they are gone", || host.supervisors().len() == 1);
    // Not by a command of Coop's, which would start new ones.
    let pid = host.pid_of("three").to_string();
    let look = |host: &Host| {
        let enter = host.tool("nsenter").args(["-t", &pid, "-n", "-m", ASK]);
        enter.args(["-", "one", "two", "three"]).run()
    };
    for _ in 0..8 {
        assert_eq!(look(&host).success().lines(), all);
    }
    // The next commands have them adopted, and names come from all again.
    host.coop(["ps"]).run().success();
    wait_until("all are looked after", || {
        ["one", "two"]
            .iter()
            .all(|name| host.coop(["exec", name, "true"]).run().status.success())
            && host.supervisors().len() == 3
    });
    for _ in 0..8 {
        assert_eq!(told_in(&host, "one", "- one two three"), all);
    }
    // One that ends orderly takes its name along, and nobody else's.
    host.coop(["rm", "-f", "one"]).run().success();
    for _ in 0..4 {
        let said = told_in(&host, "two", "- one two three");
        assert_eq!(said[1..], all[1..]);
        assert!(!said[0].starts_with("NoError"), "{said:?}");
    }
    host.coop(["rm", "-f", "two", "three"]).run().success();
    host.assert_nothing_left(&before);
}

#[test]
fn a_stack_whose_supervisor_was_killed_has_its_names_again_with_the_next() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let stack = host.services(&root, &[("client", &asking(), SLEEP), ("web", "", SLEEP)]);
    stack.up();
    let answer = format!("NoError aa ra 5={}", address(&host, "shop-web-1"));
    let [supervisor] = host.supervisors()[..] else {
        panic!("one supervisor");
    };
    let pid = rustix::process::Pid::from_raw(supervisor as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    wait_until("it is gone", || !host.supervisors().contains(&supervisor));
    // `exec` looks at the stack, and so it gets another one.
    assert_eq!(told(&stack, "client", "- web"), [answer]);
    stack.down();
}
