//! `coop volume`: named and anonymous volumes.

use coop_tests::{Host, Rootfs};

const FLAGS: [&str; 4] = ["--stop-signal", "KILL", "--network", "none"];

#[test]
fn a_volume_is_created_listed_inspected_and_removed() {
    let host = Host::new();
    let before = host.snapshot();
    host.coop(["volume", "create", "db", "--label", "team=blue"])
        .run()
        .success()
        .prints("db");
    host.coop(["volume", "create", "cache"]).run().success();
    let list = host.coop(["volume", "ls"]).run();
    insta::assert_snapshot!(list.success().stdout, @r"
    DRIVER    VOLUME NAME
    local     cache
    local     db
    ");
    let quiet = |filter: &str| {
        let output = host.coop(["volume", "ls", "-q", "--filter", filter]).run();
        output.success().lines().join(" ")
    };
    assert_eq!(quiet("label=team"), "db");
    assert_eq!(quiet("label=team=red"), "");
    assert_eq!(quiet("name=ca"), "cache");
    assert_eq!(quiet("dangling=true"), "cache db");
    let inspected = host
        .coop(["volume", "inspect", "db"])
        .run()
        .success()
        .json();
    let one = &inspected[0];
    assert_eq!(one["Name"], "db");
    assert_eq!(one["Labels"]["team"], "blue");
    assert_eq!(one["Driver"], "local");
    let place = host.coop(["volume", "inspect", "-f", "{{.Mountpoint}}", "db"]);
    let place = place.run().success().text().to_owned();
    assert_eq!(one["Mountpoint"], place);
    assert!(std::path::Path::new(&place).is_dir());
    host.coop(["volume", "rm", "db", "cache"]).run().success();
    host.coop(["volume", "rm", "db"])
        .run()
        .fails(1, &["no such volume: db"]);
    host.coop(["volume", "rm", "-f", "db"]).run().success();
    host.assert_nothing_left(&before);
}

#[test]
fn a_volume_in_use_stays_and_its_user_is_named() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let mut flags = FLAGS.to_vec();
    flags.extend(["-v", "db:/data"]);
    host.start("box", &root, &flags, "echo kept > /data/file");
    host.coop(["volume", "rm", "db"])
        .run()
        .fails(1, &["db", "in use by container box", "coop rm box"]);
    host.coop(["rm", "-f", "box"]).run().success();
    host.coop(["volume", "rm", "db"]).run().success();
}

#[test]
fn prune_takes_anonymous_volumes_and_all_when_asked() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let mut flags = FLAGS.to_vec();
    flags.extend(["-v", "used:/data"]);
    host.start("box", &root, &flags, "exec sleep 1000");
    host.coop(["volume", "create", "named"]).run().success();
    let anonymous = host.coop(["volume", "create"]).run();
    let anonymous = anonymous.success().text().to_owned();
    let refused = host.coop(["volume", "prune"]).stdin("n\n").run();
    refused.code(1).says("WARNING! This will remove anonymous");
    let pruned = host.coop(["volume", "prune", "-f"]).run();
    let shown = pruned.success().stdout.replace(&anonymous, "[anonymous]");
    insta::assert_snapshot!(shown, @r"
    Deleted Volumes:
    [anonymous]

    Total reclaimed space: 0B
    ");
    let all = host.coop(["volume", "prune", "-a"]).stdin("y\n").run();
    all.success().says("\nnamed\n").does_not_say("\nused\n");
    host.coop(["volume", "ls", "-q"]).run().prints("used");
}

#[test]
fn what_the_local_driver_cannot_is_refused_by_name() {
    let host = Host::new();
    let create = |args: &[&str]| host.coop(["volume", "create"]).args(args).run();
    create(&["-d", "nfs", "x"]).fails(1, &["volume driver nfs", "local"]);
    create(&["--opt", "type=nfs", "x"]).fails(1, &["type=nfs", "help:"]);
    create(&["../x"]).fails(1, &["volume name"]);
    host.coop(["volume", "ls", "--filter", "size=1"])
        .run()
        .fails(1, &["invalid filter 'size'", "dangling"]);
}

#[test]
fn a_volume_of_a_stack_has_the_labels_of_the_file() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let stack = host.stack(&format!(
        "name: shop\nservices:\n  web: {{rootfs: {}, command: 'true', volumes: ['data:/data']}}\n\
         volumes: {{data: {{driver: local, labels: {{tier: front}}}}}}\n",
        root.path().display()
    ));
    stack.up();
    let volume = host.coop(["volume", "inspect", "shop_data"]).run();
    let volume = volume.success().json();
    assert_eq!(volume[0]["Labels"]["tier"], "front", "{volume:#}");
    // It is there already: no second start makes it anew.
    stack.up();
    stack.coop("down").arg("-v").run().success();
}
