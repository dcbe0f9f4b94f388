//! `coop events`: what happens, told to whoever looks on.

use coop_tests::Host;

const SLEEP: [&str; 6] = ["run", "-d", "--name", "one", "coop/host", "sleep"];

fn kinds(text: &str) -> Vec<String> {
    let words = |line: &str| {
        let words: Vec<_> = line.split(' ').skip(1).take(2).collect();
        words.join(" ")
    };
    text.lines().map(words).collect()
}

#[test]
fn the_life_of_a_container_is_told_in_order() {
    let host = Host::new();
    let mut events = host
        .coop(["events", "--since", "1h", "--filter", "container=one"])
        .spawn();
    // Looking on from its start on would be a race: what was before is told as well.
    host.coop(SLEEP).arg("1000").run().success();
    host.coop(["kill", "one"]).run().success();
    host.coop(["wait", "one"]).run();
    host.coop(["rm", "one"]).run().success();
    events.wait_for("destroy");
    events.signal(rustix::process::Signal::INT);
    let told = events.wait().stdout;
    let order: Vec<_> = ["create", "start", "die", "destroy"]
        .into_iter()
        .map(|action| {
            let what = format!("container {action}");
            let at = kinds(&told).iter().position(|kind| *kind == what);
            at.unwrap_or_else(|| panic!("no {action} in\n{told}"))
        })
        .collect();
    assert!(order.is_sorted(), "{told}");
    let die = told.lines().find(|line| line.contains(" die ")).unwrap();
    assert!(
        die.contains("exitCode=137") && die.contains("name=one"),
        "{die}"
    );
    assert!(die.contains("image=coop/host"), "{die}");
}

#[test]
fn the_past_is_told_on_request_and_filtered() {
    let host = Host::new();
    host.stack(
        "
name: shop
services:
  a: {image: coop/host, command: [sleep, '1000'], stop_signal: SIGKILL, labels: {tier: x}}
  b: {image: coop/host, command: [sh, -c, 'exit 0']}
",
    )
    .up();
    host.coop(SLEEP).arg("1000").run().success();
    let past = |filters: &[&str]| {
        let line = filters.iter().flat_map(|filter| ["--filter", filter]);
        let events = host
            .coop(["events", "--since", "1h", "--until", "0s"])
            .args(line);
        let output = events
            .args(["--format", "{{.Action}} {{.Actor.Attributes.name}}"])
            .run();
        let mut lines: Vec<_> = output
            .success()
            .lines()
            .iter()
            .map(|l| (*l).to_owned())
            .collect();
        lines.sort();
        lines.dedup();
        lines.join(", ")
    };
    assert_eq!(
        past(&["event=create", "type=network"]),
        "create bridge, create shop_default"
    );
    assert_eq!(
        past(&["event=create", "type=container"]),
        "create one, create shop-a-1, create shop-b-1"
    );
    assert_eq!(
        past(&["event=start", "stack=shop"]),
        "start shop-a-1, start shop-b-1"
    );
    assert_eq!(past(&["label=tier=x", "event=start"]), "start shop-a-1");
    assert_eq!(
        past(&["container=one", "event=start", "event=create"]),
        "create one, start one"
    );
    assert_eq!(past(&["type=volume", "event=start"]), "");
    host.coop(["events", "--filter", "colour=red"])
        .run()
        .fails(125, &["no such filter", "help: there are"]);
    host.coop(["events", "--since", "yesterday"])
        .run()
        .fails(125, &["write a time such as"]);
}

#[test]
fn events_are_objects_with_dockers_keys() {
    let host = Host::new();
    host.coop(SLEEP).arg("1000").run().success();
    let output = host
        .coop([
            "events", "--since", "1h", "--until", "0s", "--format", "json",
        ])
        .args(["--filter", "event=start"])
        .run();
    let line = output.success().stdout.lines().next().unwrap().to_owned();
    let event: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(event["Type"], "container");
    assert_eq!(event["status"], "start");
    assert_eq!(event["Actor"]["Attributes"]["name"], "one");
    assert_eq!(event["id"], event["Actor"]["ID"]);
    let nanoseconds = event["timeNano"].as_u64().unwrap();
    assert_eq!(Some(nanoseconds / 1_000_000_000), event["time"].as_u64());
}

#[test]
fn images_are_told_of_too() {
    let host = Host::new();
    let root = coop_tests::Rootfs::new(&host);
    host.coop(["image", "import"])
        .arg(root.path())
        .arg("mine:1")
        .run()
        .success();
    host.coop(["rmi", "mine:1"]).run().success();
    let output = host
        .coop([
            "events",
            "--since",
            "1h",
            "--until",
            "0s",
            "--filter",
            "type=image",
        ])
        .run();
    assert_eq!(
        kinds(&output.success().stdout),
        ["image import", "image untag", "image delete"]
    );
}

#[test]
fn a_launch_goes_on_when_events_cannot_be_written() {
    let host = Host::new();
    // A directory where the file should be.
    std::fs::create_dir_all(host.coop_root().join("run/events")).unwrap();
    host.coop(["run", "--rm", "coop/host", "echo", "fine"])
        .run()
        .success()
        .prints("fine");
}
