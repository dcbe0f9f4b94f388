//! A container on a terminal that its user leaves by keys: it goes on.

use coop_tests::{Host, Screen, wait_until};

#[test]
fn run_on_a_terminal_is_left_by_keys_and_goes_on() {
    let host = Host::new();
    let before = host.snapshot();
    let mut run = host
        .coop(["run", "-it", "--name", "box", "coop/host", "sh"])
        .pty(80, 24);
    run.send("echo one$((1+1))\n");
    run.wait_for("one2");
    run.send("\x10\x11");
    run.wait().success();
    let state = host.inspect("box")["State"].clone();
    assert_eq!(state["Status"], "running");
    assert_eq!(host.supervisors().len(), 1);

    let mut screen = Screen::of(host.coop(["attach", "box"]), 80, 24);
    screen.send("echo two$((1+2))\n");
    screen.wait_for("two3");
    screen.send("exit 7\n");
    screen.wait().code(7);
    wait_until("its end is written down", || {
        host.inspect("box")["State"]["ExitCode"] == 7
    });
    wait_until("its supervisor has ended", || host.supervisors().is_empty());
    host.coop(["rm", "box"]).run().success();
    host.assert_nothing_left(&before);
}
