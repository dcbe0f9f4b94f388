//! The stacks of `examples/`: what they show is so, and nothing is left of them.

use coop_tests::{Host, Stack, wait_until};

const STACK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/stack.yaml");
const LIFECYCLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/lifecycle.yaml");

const SECRET: &str = "s3cret-token";

#[test]
fn the_first_example_comes_up_talks_and_goes_without_a_trace() {
    let host = Host::new();
    let before = host.snapshot();
    let stack = Stack::at(&host, STACK);
    stack.up();
    stack.wait_for_log("client", "hello from the job");
    stack.coop("ps").run().success().says("web").says("client");
    stack
        .coop("stats")
        .arg("--no-stream")
        .run()
        .success()
        .says("64MiB");
    stack.coop("down").arg("-v").run().success();
    host.assert_nothing_left(&before);
}

#[test]
fn the_second_example_restarts_checks_keeps_its_secret_and_goes_without_a_trace() {
    let host = Host::new();
    let before = host.snapshot();
    let stack = Stack::at(&host, LIFECYCLE);
    let coop = |verb: &str| stack.coop(verb).env("TOKEN", SECRET);

    coop("up").arg("-d").run().success();
    wait_until("the secret has been read", || {
        let log = coop("logs").arg("client").run();
        log.success().text().contains("has 12 characters")
    });
    let secret_in = |service: &str| {
        let cat = coop("exec").args([service, "cat", "/run/secrets/token"]);
        cat.run().stdout
    };
    assert_eq!(secret_in("client").trim_end(), SECRET);
    assert!(!secret_in("web").contains(SECRET), "web has the secret too");

    let page = coop("exec").args(["client", "wget", "-q", "-O", "-", "http://web/"]);
    page.run().success().says("hello from a config");
    wait_until("the migration ends well", || {
        let state = host.inspect("life-migration-1");
        state["State"]["Status"] == "exited" && state["State"]["ExitCode"] == 0
    });
    assert_eq!(host.inspect("life-migration-1")["RestartCount"], 2);
    for replica in ["life-web-1", "life-web-2", "life-web-3"] {
        let web = host.inspect(replica);
        assert_eq!(web["State"]["Health"]["Status"], "healthy", "{replica}");
        assert_eq!(web["HostConfig"]["RestartPolicy"]["Name"], "unless-stopped");
    }
    assert_eq!(host.containers().len(), 5, "the service of a profile is up");

    let shell = coop("up").args(["-d", "--profile", "debug"]);
    shell.run().success();
    assert_eq!(host.containers().len(), 6);

    let down = coop("down").args(["-v", "--profile", "debug"]);
    down.run().success();
    host.assert_nothing_left(&before);
}
