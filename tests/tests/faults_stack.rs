//! What goes wrong with a stack: the message names file, line and column, and nothing comes
//! up by half.

use coop_tests::{Host, Snapshot, Stack};

/// `up -d` has to fail this way and to leave the host as it was.
#[track_caller]
fn fails_without_a_trace(host: &Host, before: &Snapshot, stack: &Stack<'_>, words: &[&str]) {
    stack.coop("up").arg("-d").run().stack_fails(words);
    host.assert_nothing_left(before);
    assert_eq!(host.containers(), [""; 0]);
}

/// A stack file that is wrong in itself: `config` and `up` say the same.
#[track_caller]
fn is_refused(yaml: &str, words: &[&str]) {
    let host = Host::new();
    let before = host.snapshot();
    let stack = host.stack(yaml);
    stack.coop("config").run().stack_fails(words);
    fails_without_a_trace(&host, &before, &stack, words);
}

fn is_refused_by_up(yaml: &str, words: &[&str]) {
    let host = Host::new();
    let before = host.snapshot();
    let stack = host.stack(yaml);
    fails_without_a_trace(&host, &before, &stack, words);
}

#[test]
fn a_missing_stack_file_is_named() {
    let host = Host::new();
    let before = host.snapshot();
    let stack = Stack::at(&host, host.work().join("nowhere.yaml"));
    fails_without_a_trace(&host, &before, &stack, &["nowhere.yaml"]);
}

#[test]
fn no_stack_file_at_all_is_said() {
    let host = Host::new();
    host.coop(["up", "-d"]).run().stack_fails(&["compose.yaml"]);
}

#[test]
fn yaml_that_does_not_parse_is_shown_with_its_line() {
    is_refused("services:\n  web: [a\n  b: }\n", &["stack-0.yaml:", ":3:"]);
}

#[test]
fn a_file_that_is_no_text_is_refused() {
    let host = Host::new();
    let before = host.snapshot();
    let stack = Stack::at(&host, host.file("junk.yaml", [0xff, 0xfe, 0x00, 0x80]));
    fails_without_a_trace(&host, &before, &stack, &["junk.yaml"]);
}

#[test]
fn an_empty_file_has_no_services() {
    is_refused("", &["stack-0.yaml", "services"]);
}

#[test]
fn an_unknown_key_is_shown_with_its_place_and_the_nearest_known_one() {
    is_refused(
        "services:\n  web:\n    imagee: coop/host\n",
        &["stack-0.yaml:3:5", "imagee", "`image`"],
    );
}

#[test]
fn an_unknown_key_at_the_top_is_one_too() {
    is_refused(
        "servces:\n  web:\n    image: coop/host\n",
        &["stack-0.yaml:1:1", "servces", "`services`"],
    );
}

#[test]
fn an_unknown_key_deep_inside_is_one_too() {
    is_refused(
        "services:\n  web:\n    image: coop/host\n    healthcheck:\n      tests: x\n",
        &["stack-0.yaml:5:7", "tests", "`test`"],
    );
}

#[test]
fn a_key_of_compose_that_is_not_supported_yet_is_called_that() {
    is_refused(
        "services:\n  web:\n    image: coop/host\n    build: .\n",
        &["stack-0.yaml:4:5", "`build`", "does not support", "yet"],
    );
}

#[test]
fn an_extension_is_no_unknown_key() {
    let host = Host::new();
    let yaml = "x-mine: 1\nservices:\n  web:\n    image: coop/host\n    x-note: hi\n";
    host.stack(yaml).coop("config").run().success();
}

#[test]
fn a_value_of_the_wrong_kind_is_shown_with_its_place() {
    is_refused(
        "services:\n  web:\n    image: coop/host\n    pids_limit: many\n",
        &["stack-0.yaml:4:", "pids_limit"],
    );
}

#[test]
fn a_duplicate_key_is_refused() {
    is_refused(
        "services:\n  web:\n    image: coop/host\n    image: other\n",
        &["stack-0.yaml:4:", "image"],
    );
}

#[test]
fn a_cycle_in_depends_on_is_shown_as_one() {
    is_refused(
        "
services:
  a: {image: coop/host, depends_on: [b]}
  b: {image: coop/host, depends_on: [c]}
  c: {image: coop/host, depends_on: [a]}
",
        &["cycle", "a -> b -> c -> a"],
    );
}

#[test]
fn a_dependency_on_an_unknown_service_is_named() {
    is_refused(
        "services:\n  web:\n    image: coop/host\n    depends_on: [dbb]\n  db: {image: coop/host}\n",
        &["web", "dbb", "`db`"],
    );
}

#[test]
fn health_as_a_condition_needs_a_health_check() {
    // Not by `config`: the image may have one.
    is_refused_by_up(
        "
services:
  a:
    image: coop/host
    depends_on: {b: {condition: service_healthy}}
  b: {image: coop/host}
",
        &["b", "healthcheck"],
    );
}

#[test]
fn a_volume_that_is_not_declared_is_named() {
    is_refused(
        "services:\n  web:\n    image: coop/host\n    volumes: ['ghost:/data']\n",
        &["ghost", "volumes"],
    );
}

#[test]
fn a_required_variable_that_is_not_set_is_named() {
    is_refused(
        "services:\n  web:\n    image: ${IMAGE:?set the image}\n",
        &["stack-0.yaml:3:", "IMAGE", "set the image"],
    );
}

#[test]
fn a_service_without_image_and_rootfs_is_refused() {
    is_refused("services:\n  web:\n    command: x\n", &["web", "image"]);
}

#[test]
fn an_unknown_image_keeps_all_of_the_stack_down() {
    let host = Host::new();
    let before = host.snapshot();
    let stack = host.stack(
        "
name: half
services:
  good: {image: coop/host, command: sleep 1000}
  bad: {image: 'ghost:1', command: sleep 1000, depends_on: [good]}
",
    );
    fails_without_a_trace(&host, &before, &stack, &["bad", "ghost:1"]);
}

#[test]
fn a_port_in_use_is_shown_with_its_holder_and_its_place_in_the_file() {
    let host = Host::new();
    let before = host.snapshot();
    let _listener = std::net::TcpListener::bind("0.0.0.0:8080").unwrap();
    let stack = host.stack(
        "services:\n  web:\n    image: coop/host\n    command: sleep 1000\n    ports:\n      - \"8080:80\"\n",
    );
    let holder = format!("pid {}", std::process::id());
    fails_without_a_trace(
        &host,
        &before,
        &stack,
        &["web", "8080", &holder, "stack-0.yaml:6:9"],
    );
}

#[test]
fn two_services_that_publish_the_same_port_are_refused() {
    is_refused(
        "
services:
  a: {image: coop/host, ports: ['8080:80']}
  b: {image: coop/host, ports: ['8080:80']}
",
        &["8080", "a", "b"],
    );
}

#[test]
fn a_command_that_is_missing_takes_the_whole_stack_down_again() {
    let host = Host::new();
    let before = host.snapshot();
    let stack = host.stack(
        "
name: half
services:
  good: {image: coop/host, command: sleep 1000, stop_signal: SIGKILL}
  bad: {image: coop/host, command: /bin/nothing, depends_on: [good]}
",
    );
    fails_without_a_trace(&host, &before, &stack, &["bad", "/bin/nothing"]);
}

#[test]
fn an_unknown_service_is_named_by_every_command() {
    let host = Host::new();
    let stack = host.stack("services: {web: {image: coop/host, command: sleep 1000}}\n");
    stack.up();
    for verb in ["logs", "stop", "start", "kill"] {
        stack.coop(verb).arg("wbe").run().fails(1, &["wbe"]);
    }
    stack
        .coop("exec")
        .args(["wbe", "true"])
        .run()
        .fails(1, &["wbe"]);
    stack.down();
}

#[test]
fn an_ordinary_user_without_permission_reads_so() {
    let host = Host::new();
    let before = host.snapshot();
    let stack = host.stack("services: {web: {image: coop/host, command: sleep 1000}}\n");
    let up = host
        .coop_as_user(65534, ["up", "-d", "-f"])
        .arg(stack.file())
        .run();
    up.stack_fails(&["ermission"]);
    host.assert_nothing_left(&before);
}
