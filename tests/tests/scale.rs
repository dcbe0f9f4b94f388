//! Several containers of one service.

use coop_tests::{Host, Stack};

const FILE: &str = "
name: many
services:
  web:
    image: coop/host
    command: sleep 1000
    scale: 2
  client:
    image: coop/host
    command: sleep 1000
    depends_on: [web]
";

fn scale(stack: &Stack<'_>, number: u32) {
    stack
        .coop("up")
        .args(["-d", "-t", "0", "--scale", &format!("web={number}")])
        .run()
        .success();
}

fn names(host: &Host) -> Vec<String> {
    let mut names = host.containers();
    names.sort();
    names
}

#[test]
fn a_service_has_as_many_containers_as_asked_for() {
    let host = Host::new();
    let before = host.snapshot();
    let stack = host.stack(FILE);
    stack.up();
    assert_eq!(names(&host), ["many-client-1", "many-web-1", "many-web-2"]);
    scale(&stack, 4);
    assert_eq!(names(&host).len(), 5);
    scale(&stack, 1);
    assert_eq!(names(&host), ["many-client-1", "many-web-1"]);
    stack.coop("down").args(["-t", "0"]).run().success();
    host.assert_nothing_left(&before);
}

#[test]
fn a_gap_is_filled_and_the_others_stay() {
    let host = Host::new();
    let stack = host.stack(FILE);
    scale(&stack, 3);
    let start = |name: &str| stack.exec(name, "cat /proc/1/stat | cut -d' ' -f22");
    let third = start("many-web-3");
    host.coop(["rm", "-f", "many-web-2"]).run().success();
    scale(&stack, 3);
    assert_eq!(names(&host).len(), 4);
    assert_eq!(start("many-web-3"), third);
    stack.coop("down").args(["-t", "0"]).run().success();
}

#[test]
fn others_find_all_of_them_by_the_service_name_also_later_ones() {
    let host = Host::new();
    let stack = host.stack(FILE);
    stack.up();
    let found = || {
        let hosts = stack.exec("client", "cat /etc/hosts");
        hosts.lines().filter(|line| line.contains("\tweb ")).count()
    };
    assert_eq!(found(), 2);
    scale(&stack, 3);
    assert_eq!(found(), 3);
    scale(&stack, 1);
    assert_eq!(found(), 1);
    stack.coop("down").args(["-t", "0"]).run().success();
}

#[test]
fn what_there_can_be_only_one_of_is_refused_with_its_line() {
    let host = Host::new();
    let stack = host.stack(
        "
name: one
services:
  web: {image: coop/host, command: sleep 1000, container_name: only}
  port: {image: coop/host, command: sleep 1000, ports: ['8080:80']}
",
    );
    stack
        .coop("up")
        .args(["-d", "--scale", "web=2"])
        .run()
        .stack_fails(&["container names must be unique", "container_name: only"]);
    stack
        .coop("up")
        .args(["-d", "--scale", "port=2"])
        .run()
        .stack_fails(&["port 8080"]);
    stack
        .coop("up")
        .args(["-d", "--scale", "nope=2"])
        .run()
        .stack_fails(&["no such service: nope"]);
    assert_eq!(host.containers(), [""; 0]);
}
