//! `coop ls`, `coop info`, `coop system df` and what they count; `prune`.

use coop_tests::{Host, Rootfs, wait_until};

const FLAGS: [&str; 4] = ["--stop-signal", "KILL", "--network", "none"];

fn start_two(host: &Host) {
    let root = Rootfs::new(host);
    host.start("box", &root, &FLAGS, "exec sleep 1000");
    host.start("ended", &root, &FLAGS, "echo 12345 > /srv/file");
    wait_until("it has ended", || {
        host.inspect("ended")["State"]["Status"] == "exited"
    });
}

#[test]
fn stacks_are_listed_with_what_became_of_their_containers() {
    let host = Host::new();
    start_two(&host);
    let stack = host.stack(
        "
name: shop
services:
  a: {image: coop/host, command: sleep 1000, stop_signal: SIGKILL, network_mode: none}
  b: {image: coop/host, command: 'true', network_mode: none}
",
    );
    stack.up();
    wait_until("one has ended", || {
        host.coop(["ls"]).run().stdout.contains("exited(1)")
    });
    let list = |args: &[&str]| host.coop(["ls"]).args(args).run().success().stdout.clone();
    assert_eq!(list(&["-q"]), "box\nshop\n");
    assert_eq!(list(&["-aq"]), "box\nended\nshop\n");
    assert_eq!(list(&["-q", "--filter", "name=sho"]), "shop\n");
    assert_eq!(
        list(&["-a", "--format", "{{.Name}} is {{.Status}}"]),
        "box is running(1)\nended is exited(1)\nshop is exited(1), running(1)\n"
    );
}

#[test]
fn info_counts_and_tells_what_the_host_can_do() {
    let host = Host::new();
    start_two(&host);
    let info = host
        .coop(["info", "--format", "json"])
        .run()
        .success()
        .json();
    assert_eq!(info["Containers"], 2);
    assert_eq!(info["ContainersRunning"], 1);
    assert_eq!(info["ContainersStopped"], 1);
    assert!(info["NCPU"].as_u64() > Some(0) && info["MemTotal"].as_u64() > Some(0));
    assert!(!info["CgroupControllers"].as_array().unwrap().is_empty());
    let text = host.coop(["system", "info"]).run();
    text.success()
        .says("Containers: 2\n Running: 1\n Paused: 0\n Stopped: 1\n")
        .says("Storage Driver: overlay")
        .says("Kernel Version: ");
}

#[test]
fn df_counts_what_containers_and_volumes_hold() {
    let host = Host::new();
    start_two(&host);
    host.coop(["volume", "create", "db"]).run().success();
    let df = host.coop(["system", "df"]).run();
    insta::assert_snapshot!(df.success().stdout, @r"
    TYPE            TOTAL     ACTIVE    SIZE      RECLAIMABLE
    Images          0         0         0B        0B
    Containers      2         1         6B        6B (100%)
    Local Volumes   1         0         0B        0B
    ");
    host.coop(["system", "df", "-v"])
        .run()
        .success()
        .says("Containers space usage:")
        .says("ended");
}

#[test]
fn prune_removes_what_does_not_run() {
    let host = Host::new();
    start_two(&host);
    host.coop(["prune"]).stdin("").run().code(1).says("[y/N]");
    assert_eq!(host.containers().len(), 2);
    let pruned = host.coop(["prune"]).stdin("y\n").run();
    pruned
        .success()
        .says("Deleted Containers:")
        .says("Total reclaimed space:");
    assert_eq!(host.containers(), ["box"]);
    host.coop(["system", "prune", "-af", "--volumes"])
        .run()
        .success();
    assert_eq!(host.containers(), ["box"]);
    host.coop(["system", "prune", "--filter", "nope=1"])
        .run()
        .fails(1, &["invalid filter 'nope'"]);
}
