//! The names of containers, as the name server of a network answers with them.

use coop_tests::ask::{self, ASK, address, addresses, asking, told, told_in};
use coop_tests::{Host, Rootfs, wait_until};

const SLEEP: &str = "exec sleep 1000";

#[test]
fn a_container_knows_its_neighbours_by_all_their_names() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.resolve_by("search example.org\n");
    let before = host.snapshot();
    let stack = host.services(
        &root,
        &[
            ("client", &asking(), SLEEP),
            (
                "db",
                "container_name: Store\nnetworks: {default: {aliases: [pg, old.example]}}",
                SLEEP,
            ),
        ],
    );
    stack.up();
    let files = stack.exec("client", "cat /etc/resolv.conf /etc/hosts");
    let gateway = files
        .lines()
        .find_map(|line| line.strip_prefix("nameserver "));
    assert!(
        files.contains("search example.org\n") && files.contains("options ndots:0\n"),
        "{files}"
    );
    assert!(
        !files.split_whitespace().any(|word| word == "db"),
        "{files}"
    );

    let db = address(&host, "Store");
    let id = host.inspect("Store")["Id"].as_str().unwrap()[..12].to_owned();
    let answer = format!("NoError aa ra 5={db}");
    let names = format!("db DB store STORE pg old.example {id} db.shop_default pg.shop_default");
    for line in told(&stack, "client", &format!("- {names}")) {
        assert_eq!(line, answer);
    }
    for line in told(&stack, "client", &format!("tcp - {names}")) {
        assert_eq!(line, answer);
    }
    // The name exists: nobody else is asked for what it has not.
    for line in told(&stack, "client", "- db/AAAA db/MX db/TXT") {
        assert_eq!(line, "NoError aa ra");
    }
    let reverse = |address: &str| {
        let mut parts: Vec<_> = address.split('.').collect();
        parts.reverse();
        format!("{}.in-addr.arpa/PTR", parts.join("."))
    };
    let (own, gateway) = (reverse(&db), reverse(gateway.unwrap()));
    assert_eq!(
        told(&stack, "client", &format!("- {own} {gateway}")),
        ["NoError aa ra 5=Store.shop_default.", "NXDomain aa ra"]
    );
    // There is no name server outside.
    assert_eq!(told(&stack, "client", "- nobody"), ["ServFail ra"]);
    // The programs of a container find it, too.
    let ping = stack.exec("client", "ping -c1 -W5 db 2>/dev/null; true");
    assert!(ping.contains(&format!("PING db ({db})")), "{ping}");
    stack.down();
    host.assert_nothing_left(&before);
}

#[test]
fn a_name_is_of_the_replicas_that_run_and_are_healthy() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let web = "deploy: {replicas: 3}\n\
               healthcheck: {test: 'test ! -e /tmp/ill', interval: 200ms, retries: 1}";
    let stack = host.services(&root, &[("client", &asking(), SLEEP), ("web", web, SLEEP)]);
    stack.up();
    let all = ["shop-web-1", "shop-web-2", "shop-web-3"].map(|name| address(&host, name));
    let found = |count| {
        let lines = told(&stack, "client", "- web");
        let found: Vec<_> = addresses(&lines[0])
            .into_iter()
            .map(str::to_owned)
            .collect();
        (found.len() == count).then_some(found)
    };
    let wait_for = |what: &str, expected: &[&String]| {
        wait_until(what, || {
            found(expected.len()).is_some_and(|found| found.iter().eq(expected.iter().copied()))
        });
    };
    wait_for("all are healthy", &[&all[0], &all[1], &all[2]]);
    // Each begins with another one.
    let lines = told(&stack, "client", "- web web web web web web");
    let mut firsts: Vec<_> = { lines.iter() }
        .map(|line| line.split(' ').nth(3).unwrap().to_owned())
        .collect();
    firsts.sort();
    firsts.dedup();
    assert_eq!(firsts.len(), 3, "{lines:?}");

    let sh = |container: &str, script: &str| {
        let exec = host.coop(["exec", container, "sh", "-c", script]);
        exec.run().success();
    };
    sh("shop-web-2", "touch /tmp/ill");
    wait_for("one is ill", &[&all[0], &all[2]]);
    host.coop(["stop", "shop-web-3"]).run().success();
    wait_for("one is stopped", &[&all[0]]);
    sh("shop-web-1", "touch /tmp/ill");
    wait_for("all that run are ill", &[&all[0], &all[1]]);
    sh("shop-web-2", "rm /tmp/ill");
    wait_for("one is well again", &[&all[1]]);
    host.coop(["start", "shop-web-3"]).run().success();
    wait_for("the other one runs again", &[&all[1], &all[2]]);
    stack
        .coop("up")
        .args(["-d", "--scale", "web=1"])
        .run()
        .success();
    wait_for("only the first is left, and ill", &[&all[0]]);
    host.coop(["stop", "shop-web-1"]).run().success();
    assert_eq!(told(&stack, "client", "- web"), ["NXDomain aa ra"]);
    host.coop(["rm", "shop-web-1"]).run().success();
    assert_eq!(
        told(&stack, "client", "- web"),
        ["ServFail ra"],
        "nobody's name any more"
    );
    stack
        .coop("up")
        .args(["-d", "--scale", "web=4"])
        .run()
        .success();
    wait_until("four are there", || found(4).is_some());
    stack.down();
}

#[test]
fn a_network_with_ipv6_has_names_for_both_addresses_at_both_gateways() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.resolve_by("");
    let root = root.path().display();
    let ask = asking();
    let stack = host.stack(&format!(
        "name: shop\nservices:\n  \
         client: {{rootfs: {root}, command: sleep 1000, stop_grace_period: 0s, {ask}}}\n  \
         web: {{rootfs: {root}, command: sleep 1000, stop_grace_period: 0s}}\n\
         networks:\n  default: {{enable_ipv6: true, ipam: {{config: [{{subnet: 'fd00:5:6::/64'}}]}}}}\n"
    ));
    stack.up();
    let v4 = address(&host, "shop-web-1");
    let networks = &host.inspect("shop-web-1")["NetworkSettings"]["Networks"];
    let v6 = networks["shop_default"]["GlobalIPv6Address"]
        .as_str()
        .unwrap()
        .to_owned();
    let answers = [
        format!("NoError aa ra 5={v4}"),
        format!("NoError aa ra 5={v6}"),
    ];
    for server in ["-", "fd00:5:6::1"] {
        assert_eq!(
            told(&stack, "client", &format!("{server} web web/AAAA")),
            answers
        );
        assert_eq!(
            told(&stack, "client", &format!("tcp {server} web web/AAAA")),
            answers
        );
    }
    let v6: std::net::Ipv6Addr = v6.parse().unwrap();
    let octets = v6.octets();
    let nibbles: Vec<String> = { octets.iter().rev() }
        .map(|octet| format!("{:x}.{:x}", octet & 15, octet >> 4))
        .collect();
    let reverse = format!("- {}.ip6.arpa/PTR", nibbles.join("."));
    assert_eq!(
        told(&stack, "client", &reverse),
        ["NoError aa ra 5=shop-web-1.shop_default."]
    );
    stack.down();
}

#[test]
fn a_container_that_is_renamed_leaves_its_name_to_others() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.resolve_by("");
    let volume = ask::volume();
    let flags = ["-v", &volume, "--stop-timeout", "0"];
    host.start("app", &root, &flags, SLEEP);
    let first = format!("NoError aa ra 5={}", address(&host, "app"));
    host.coop(["rename", "app", "app-old"]).run().success();
    let told = || told_in(&host, "app-old", "- app app-old");
    assert_eq!(told(), ["ServFail ra", &first]);
    host.start("app", &root, &flags, SLEEP);
    let second = format!("NoError aa ra 5={}", address(&host, "app"));
    assert_eq!(told(), [second, first]);
    host.coop(["rm", "-f", "app", "app-old"]).run().success();
}

#[test]
fn a_container_that_is_connected_to_a_network_knows_its_names_until_it_is_disconnected() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.resolve_by("");
    let volume = ask::volume();
    host.coop(["network", "create", "other"]).run().success();
    let near = ["-v", &volume, "--stop-timeout", "0"];
    let far = ["-v", &volume, "--stop-timeout", "0", "--network", "other"];
    host.start("near", &root, &near, SLEEP);
    host.start("far", &root, &far, SLEEP);
    let refused = ["ServFail ra"];
    assert_eq!(told_in(&host, "near", "- far"), refused);
    let far = format!("NoError aa ra 5={}", address(&host, "far"));
    let connect = host.coop(["network", "connect", "--alias", "guest", "other", "near"]);
    connect.run().success();
    assert_eq!(told_in(&host, "near", "- far far.other"), [&*far, &far]);
    // And the other one knows it by its alias, at its address there.
    let guest = told_in(&host, "far", "- guest near");
    assert!(
        guest[0].starts_with("NoError aa ra 5=") && guest[0] == guest[1],
        "{guest:?}"
    );
    host.coop(["network", "disconnect", "other", "near"])
        .run()
        .success();
    assert_eq!(told_in(&host, "near", "- far"), refused);
    assert_eq!(told_in(&host, "far", "- guest"), refused);
    host.coop(["rm", "-f", "near", "far"]).run().success();
    host.coop(["network", "rm", "other"]).run().success();
}

#[test]
fn a_container_in_the_foreground_is_known_and_knows_others() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let volume = ask::volume();
    host.start("back", &root, &["-v", &volume], SLEEP);
    let script = format!("{ASK} - back; echo ready; sleep 1000");
    let run = host.sh(
        &root,
        &["--name", "front", "-v", &volume, "--stop-timeout", "0"],
        &script,
    );
    let mut front = run.spawn();
    let answer = |name: &str| format!("NoError aa ra 5={}", address(&host, name));
    front.wait_for(&answer("back"));
    front.wait_for("ready");
    for _ in 0..4 {
        assert_eq!(told_in(&host, "back", "- front"), [answer("front")]);
    }
    host.coop(["rm", "-f", "front", "back"]).run().success();
}
