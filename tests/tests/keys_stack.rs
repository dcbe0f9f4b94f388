//! Stack file: names, networks, secrets, restarts, logs: what concerns the whole stack.

use coop_tests::{Host, wait_until};

#[test]
fn a_container_that_fails_is_started_again_as_often_as_it_may() {
    let host = Host::new();
    let stack = host.stack(
        "
name: again
services:
  web:
    image: coop/host
    command: sh -c 'echo begun; exit 3'
    restart: on-failure:2
",
    );
    stack.up();
    wait_until("it has been started three times", || {
        stack.logs("web").matches("begun").count() == 3
    });
    wait_until("it stays down", || {
        let ps = stack.coop("ps").arg("-a").run();
        ps.success().stdout.contains("Exited (3)")
    });
    assert_eq!(stack.logs("web").matches("begun").count(), 3);
    stack.down();
}

#[test]
fn a_policy_and_rm_contradict_each_other() {
    let host = Host::new();
    host.coop(["run", "--rm", "--restart", "always", "coop/host", "true"])
        .run()
        .fails(125, &["--restart and --rm"]);
}

#[test]
fn nothing_is_kept_of_the_output_with_the_driver_none() {
    let host = Host::new();
    let stack = host.stack(
        "
name: quiet
services:
  web:
    image: coop/host
    command: sh -c 'echo loud; sleep 1000'
    logging: {driver: none}
  other:
    image: coop/host
    command: sh -c 'echo loud; sleep 1000'
",
    );
    stack.up();
    stack.wait_for_log("other", "loud");
    let kept = stack.coop("logs").arg("web").run();
    assert!(!kept.stdout.contains("loud"), "{}", kept.stdout);
    stack.coop("down").args(["-t", "0"]).run().success();
}

const SECRETS: &str = "
name: safe
services:
  web:
    image: coop/host
    command: sleep 1000
    secrets:
      - password
      - {source: token, target: /etc/token, uid: '7', gid: '8', mode: 0o400}
    configs:
      - {source: site, target: /etc/site.conf}
secrets:
  password: {file: ./password}
  token: {environment: TOKEN}
configs:
  site: {content: 'listen 80'}
";

#[test]
fn secrets_and_configs_are_read_only_files_in_memory() {
    let host = Host::new();
    let before = host.snapshot();
    host.file("password", "open sesame");
    let stack = host.stack(SECRETS);
    stack
        .coop("up")
        .arg("-d")
        .env("TOKEN", "never-on-disk")
        .run()
        .success();
    assert_eq!(
        stack.exec("web", "cat /run/secrets/password"),
        "open sesame"
    );
    assert_eq!(stack.exec("web", "cat /etc/token"), "never-on-disk");
    assert_eq!(stack.exec("web", "cat /etc/site.conf"), "listen 80");
    let owners = stack.exec("web", "stat -c '%u %g %a' /run/secrets/password /etc/token");
    assert_eq!(owners, "0 0 444\n7 8 400");
    let types = stack.exec("web", "stat -f -c %T /run/secrets/password /etc/token");
    assert_eq!(types, "tmpfs\ntmpfs");
    stack
        .coop("exec")
        .args(["web", "sh", "-c", "echo x > /run/secrets/password"])
        .run()
        .code(1)
        .warns("Read-only");
    // The text is in no file of the state, and no command prints it.
    // Its pipes are left out: not every `grep -r` does that by itself.
    let found = std::process::Command::new("find")
        .arg(host.coop_root())
        .args([
            "-type",
            "f",
            "-exec",
            "grep",
            "-l",
            "never-on-disk",
            "{}",
            "+",
        ])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "");
    for verb in ["config", "plan"] {
        let shown = stack.coop(verb).env("TOKEN", "never-on-disk").run();
        assert!(!shown.success().stdout.contains("never-on-disk"), "{verb}");
    }
    stack.coop("down").args(["-t", "0"]).run().success();
    host.assert_nothing_left(&before);
}

#[test]
fn a_secret_outlives_a_restart_and_a_new_value_makes_a_new_container() {
    let host = Host::new();
    host.file("password", "open sesame");
    let stack = host.stack(SECRETS);
    let up = |value: &str| {
        stack
            .coop("up")
            .args(["-d", "-t", "0"])
            .env("TOKEN", value)
            .run()
            .success();
    };
    let id = || stack.coop("ps").arg("-q").run().success().stdout.clone();
    up("one");
    let first = id();
    stack.coop("stop").args(["-t", "0"]).run().success();
    // `start` knows nothing of the variable, and does not have to.
    stack.coop("start").run().success();
    assert_eq!(stack.exec("web", "cat /etc/token"), "one");
    up("one");
    assert_eq!(id(), first);
    up("two");
    assert_eq!(stack.exec("web", "cat /etc/token"), "two");
    stack.coop("down").args(["-t", "0"]).run().success();
}

#[test]
fn a_secret_whose_source_is_missing_is_shown_in_the_file() {
    let host = Host::new();
    let stack = host.stack(SECRETS);
    let missing = stack.coop("up").arg("-d").env("TOKEN", "x").run();
    missing.stack_fails(&["no such file", "password"]);
    host.file("password", "open sesame");
    let unset = stack.coop("up").arg("-d").run();
    unset.stack_fails(&["environment variable \"TOKEN\" required by secret \"token\" is not set"]);
    assert_eq!(host.containers(), [""; 0]);
}

#[test]
fn names_are_those_of_the_own_network_only() {
    let host = Host::new();
    let stack = host.stack(
        "
name: nets
services:
  web: {image: coop/host, command: sleep 1000, networks: [front]}
  api: {image: coop/host, command: httpd -f -p 80 -h /etc, networks: {front: {aliases: [backend]}}}
  db: {image: coop/host, command: sleep 1000, networks: [back]}
networks:
  front: {ipam: {config: [{subnet: 10.83.7.0/24}]}}
  back: {internal: true}
",
    );
    stack.up();
    let ask = |name: &str| {
        let asked = stack.coop("exec").args(["web", "nslookup", name]).run();
        asked.text().to_owned()
    };
    let found = ask("backend");
    assert!(found.contains("Address: 10.83.7."), "{found}");
    let found = ask("db");
    assert!(!found.contains("Name:"), "{found}");
    wait_until("the other one answers by its alias", || {
        let got = stack.coop("exec").args(["web", "wget", "-q", "-O", "-"]);
        got.arg("http://backend/hostname").run().status.success()
    });
    let routes = stack.exec("db", "cat /proc/net/route");
    // The default route is the one to 0.0.0.0.
    assert!(!routes.contains("eth0\t00000000\t"), "{routes}");
    stack.coop("down").args(["-t", "0"]).run().success();
}

#[test]
fn an_external_network_has_to_be_there() {
    let host = Host::new();
    let stack = host.stack(
        "
name: ext
services:
  web: {image: coop/host, command: sleep 1000}
networks:
  default: {name: elsewhere, external: true}
",
    );
    stack
        .coop("up")
        .arg("-d")
        .run()
        .stack_fails(&["network elsewhere declared as external, but could not be found"]);
}

#[test]
fn names_and_servers_are_the_ones_given() {
    let host = Host::new();
    let stack = host.stack(
        "
name: dns
services:
  web:
    image: coop/host
    command: sleep 1000
    container_name: shopfront
    dns: [192.0.2.53]
    dns_search: example.org
    dns_opt: ['ndots:2']
    extra_hosts: ['machine:host-gateway', 'other=192.0.2.7']
    links: ['db:store']
    expose: [80]
    pull_policy: never
  db: {image: coop/host, command: httpd -f -p 80 -h /etc}
",
    );
    stack.up();
    stack.coop("ps").run().success().says("shopfront");
    let resolv = stack.exec("web", "cat /etc/resolv.conf");
    // Its own servers are asked by Coop's, which knows the stack's names, too.
    assert!(
        resolv.ends_with("\nsearch example.org\noptions ndots:2") && !resolv.contains("192.0.2.53"),
        "{resolv}"
    );
    let hosts = stack.exec("web", "cat /etc/hosts");
    assert!(hosts.contains("192.0.2.7\tother"), "{hosts}");
    assert!(hosts.contains("\tmachine\n"), "{hosts}");
    wait_until("the linked service answers by its other name", || {
        let got = stack.coop("exec").args(["web", "wget", "-q", "-O", "-"]);
        got.arg("http://store/hostname").run().status.success()
    });
    stack.coop("down").args(["-t", "0"]).run().success();
}

#[test]
fn profiles_choose_what_comes_up() {
    let host = Host::new();
    let stack = host.stack(
        "
name: prof
services:
  web: {image: coop/host, command: sleep 1000}
  debug: {image: coop/host, command: sleep 1000, profiles: [dev], depends_on: [tool]}
  tool: {image: coop/host, command: sleep 1000, profiles: [dev]}
",
    );
    stack.up();
    assert_eq!(host.containers(), ["prof-web-1"]);
    stack.coop("up").args(["-d", "debug"]).run().success();
    assert_eq!(host.containers().len(), 3);
    stack.coop("down").args(["-t", "0"]).run().success();
    stack
        .coop("up")
        .arg("-d")
        .env("COMPOSE_PROFILES", "dev")
        .run()
        .success();
    assert_eq!(host.containers().len(), 3);
    stack.coop("down").args(["-t", "0"]).run().success();
}

#[test]
fn up_waits_until_all_is_healthy_or_says_what_is_not() {
    let host = Host::new();
    let stack = host.stack(
        "
name: ready
services:
  web:
    image: coop/host
    command: sh -c 'sleep 1; touch /ready; sleep 1000'
    healthcheck: {test: 'test -e /ready', interval: 100ms, retries: 100}
  broken:
    image: coop/host
    command: sleep 1000
    profiles: [broken]
    healthcheck: {test: 'false', interval: 100ms, retries: 1}
",
    );
    stack.coop("up").arg("--wait").run().success();
    stack.coop("ps").run().success().says("(healthy)");
    stack
        .coop("up")
        .args(["--wait", "broken"])
        .run()
        .stack_fails(&["ready-broken-1 is unhealthy"]);
    stack.coop("down").args(["-t", "0"]).run().success();
}

#[test]
fn up_shows_the_output_of_those_that_it_is_attached_to() {
    let host = Host::new();
    let stack = host.stack(
        "
name: shown
services:
  web: {image: coop/host, command: echo from-web}
  quiet: {image: coop/host, command: echo from-quiet, attach: false}
  other: {image: coop/host, command: echo from-other}
",
    );
    let up = stack.coop("up").args(["--no-attach", "other"]).run();
    up.success()
        .says("from-web")
        .does_not_say("from-quiet")
        .does_not_say("from-other");
    stack.down();
}
