//! The name server of a network: names of containers, and what it asks others.

use std::net::UdpSocket;

use coop_tests::{Host, Rootfs, Says, Stack, Upstream, wait_until};

const SLEEP: &str = "exec sleep 1000";

/// The program that asks name servers, in the place where containers have it.
const ASK: &str = "/srv/ask";

fn mount() -> String {
    let program = std::env::var("COOP_ASK");
    let program = program.unwrap_or_else(|_| env!("CARGO_BIN_EXE_ask").to_owned());
    format!("{program}:{ASK}:ro")
}

/// The key with which a service has the program.
fn asking() -> String {
    format!("volumes: ['{}']", mount())
}

/// What a service's container is told, a line a question.
fn told(stack: &Stack<'_>, service: &str, words: &str) -> Vec<String> {
    let text = stack.exec(service, &format!("{ASK} {words}"));
    text.lines().map(as_fresh).collect()
}

/// A line with the minute for which answers from outside are good in these tests, though some
/// of it has passed.
fn as_fresh(line: &str) -> String {
    let of_word = |word: &str| match word.split_once('=') {
        Some((seconds, of)) if matches!(seconds.parse(), Ok(6..60)) => format!("60={of}"),
        _ => word.to_owned(),
    };
    line.split(' ').map(of_word).collect::<Vec<_>>().join(" ")
}

/// The same of a single container.
fn told_in(host: &Host, container: &str, words: &str) -> Vec<String> {
    let exec = host.coop(["exec", container, ASK]);
    let output = exec.args(words.split_whitespace()).run();
    output.success().lines().into_iter().map(as_fresh).collect()
}

/// The address of a container in its first network.
fn address(host: &Host, container: &str) -> String {
    let inspected = host.inspect(container);
    let networks = &inspected["NetworkSettings"]["Networks"];
    let first = networks
        .as_object()
        .and_then(|networks| networks.values().next());
    let address = first.and_then(|network| network["IPAddress"].as_str());
    address
        .unwrap_or_else(|| panic!("no address:\n{inspected:#}"))
        .to_owned()
}

/// The addresses in the answer to a question for a name.
fn addresses(line: &str) -> Vec<&str> {
    let mut found: Vec<_> = { line.split(' ') }
        .filter_map(|word| word.split_once('='))
        .map(|(_, address)| address)
        .collect();
    found.sort_unstable();
    found
}

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
fn ten_thousand_queries_of_ten_containers_are_all_answered() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let upstream = Upstream::new(&host, "127.0.0.1");
    host.resolve_by("nameserver 127.0.0.1\n");
    upstream.says("www.test.", Says::Address([192, 0, 2, 7].into(), 3600));
    let client = format!("{}\ndeploy: {{replicas: 10}}", asking());
    let stack = host.services(&root, &[("client", &client, SLEEP), ("web", "", SLEEP)]);
    stack.up();
    let web = address(&host, "shop-web-1");
    let words = ["many", "-", "1000"].map(str::to_owned);
    let names = [
        format!("web={web}"),
        format!("shop-web-1.shop_default={web}"),
        "www.test=192.0.2.7".to_owned(),
    ];
    let running: Vec<_> = (1..=10)
        .map(|number| {
            let exec = host.coop(["exec", &format!("shop-client-{number}"), ASK]);
            exec.args(&words).args(&names).spawn()
        })
        .collect();
    for client in running {
        let output = client.wait();
        assert_eq!(
            output.success().text(),
            "answered=1000 lost=0 wrong=0",
            "{output}"
        );
    }
    assert_eq!(
        upstream.asked(),
        ["udp www.test. A"],
        "the rest is from the cache"
    );
    stack.down();
}

#[test]
fn other_names_are_asked_of_the_hosts_name_servers() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let upstream = Upstream::new(&host, "127.0.0.2");
    let silent = UdpSocket::bind("127.0.0.3:53").unwrap();
    // One that is not there, and one that does not answer, come first.
    host.resolve_by(
        "nameserver 127.0.0.9\nnameserver 127.0.0.3\nnameserver 127.0.0.2\noptions timeout:1\n",
    );
    let stack = host.services(&root, &[("client", &asking(), SLEEP)]);
    stack.up();
    let ask = |words: &str| told(&stack, "client", words);
    upstream.says("www.test.", Says::Address([192, 0, 2, 7].into(), 60));
    upstream.says(
        "six.test.",
        Says::Address("2001:db8::7".parse().unwrap(), 60),
    );
    upstream.says("brief.test.", Says::Address([192, 0, 2, 8].into(), 0));
    upstream.says("big.test.", Says::Texts(40));
    upstream.says("lies.test.", Says::Lies([192, 0, 2, 9].into()));
    upstream.says("ill.test.", Says::Failure);

    assert_eq!(ask("- www.test"), ["NoError ra 60=192.0.2.7"]);
    assert_eq!(upstream.asked(), ["udp www.test. A"]);
    // Kept, in any writing, for as long as is left.
    let again = ask("- WWW.Test");
    assert!(
        again[0].ends_with("=192.0.2.7") && upstream.asked().is_empty(),
        "{again:?}"
    );
    assert_eq!(
        ask("- six.test/AAAA six.test"),
        ["NoError ra 60=2001:db8::7", "NoError ra"]
    );
    assert_eq!(ask("- lies.test"), ["NoError ra 60=192.0.2.9"]);
    // What does not exist is kept as well, and what may not be kept is not.
    assert_eq!(ask("- none.test none.test brief.test brief.test").len(), 4);
    let asked = upstream.asked();
    let count = |name: &str| asked.iter().filter(|it| it.contains(name)).count();
    assert_eq!(
        (count("none.test"), count("brief.test")),
        (1, 2),
        "{asked:?}"
    );
    assert_eq!(ask("- ill.test"), ["ServFail ra"]);
    upstream.asked();

    // A long answer comes by TCP, and what of it fits goes on by UDP.
    let cut = ask("- big.test/TXT");
    assert!(cut[0].starts_with("NoError tc ra 60=x"), "{cut:?}");
    assert_eq!(cut[0].matches("60=").count(), 2);
    assert_eq!(upstream.asked(), ["udp big.test. TXT", "tcp big.test. TXT"]);
    let whole = ask("tcp - big.test/TXT");
    assert!(whole[0].starts_with("NoError ra ") && whole[0].matches("60=").count() == 40);
    assert!(upstream.asked().is_empty(), "kept whole");
    let more = ask("edns 1232 - big.test/TXT");
    assert_eq!(more[0].matches("60=").count(), 5, "{more:?}");
    assert_eq!(upstream.asked()[0], "udp big.test. TXT edns 1232");

    // The host's name servers change, and with them what is known.
    let other = Upstream::new(&host, "127.0.0.4");
    other.says("www.test.", Says::Address([198, 51, 100, 1].into(), 60));
    host.resolve_by("nameserver 127.0.0.4\n");
    assert_eq!(ask("- www.test"), ["NoError ra 60=198.51.100.1"]);
    assert!(upstream.asked().is_empty());
    drop(silent);
    stack.down();
}

#[test]
fn a_service_with_name_servers_of_its_own_has_those_asked_for_it() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let (upstream, own) = (
        Upstream::new(&host, "127.0.0.1"),
        Upstream::new(&host, "127.0.0.2"),
    );
    host.resolve_by("nameserver 127.0.0.1\nsearch example.org\n");
    upstream.says("www.test.", Says::Address([192, 0, 2, 1].into(), 60));
    own.says("www.test.", Says::Address([192, 0, 2, 2].into(), 60));
    let keys = format!(
        "{}\ndns: 127.0.0.2\ndns_search: [a.test, b.test]\ndns_opt: ['ndots:1']\n\
         extra_hosts: ['machine:host-gateway']\nlinks: ['web:shop']",
        asking()
    );
    let services = [
        ("client", &*keys, SLEEP),
        ("plain", &asking(), SLEEP),
        ("web", "", SLEEP),
    ];
    let stack = host.services(&root, &services);
    stack.up();
    let web = address(&host, "shop-web-1");
    assert_eq!(
        told(&stack, "client", "- www.test"),
        ["NoError ra 60=192.0.2.2"]
    );
    assert_eq!(
        told(&stack, "plain", "- www.test"),
        ["NoError ra 60=192.0.2.1"]
    );
    // Names of the stack are known all the same, and those that it alone has.
    let name = format!("NoError aa ra 5={web}");
    assert_eq!(told(&stack, "client", "- web shop"), [&*name, &*name]);
    assert_eq!(told(&stack, "plain", "- web shop"), [&*name, "NXDomain ra"]);
    let files = stack.exec("client", "cat /etc/resolv.conf /etc/hosts");
    let gateway = files
        .lines()
        .find_map(|line| line.strip_prefix("nameserver "))
        .unwrap();
    for word in [
        "search a.test b.test\n",
        "options ndots:1\n",
        &format!("{gateway}\tmachine"),
    ] {
        assert!(files.contains(word), "{word}: {files}");
    }
    assert!(!files.contains("127.0.0.2"), "{files}");
    stack.down();
}

#[test]
fn an_internal_network_has_no_way_out_for_questions_either() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let upstream = Upstream::new(&host, "127.0.0.1");
    host.resolve_by("nameserver 127.0.0.1\n");
    upstream.says("www.test.", Says::Address([192, 0, 2, 1].into(), 60));
    let ask = asking();
    let file = |services: &str| {
        let networks = "networks:\n  inner: {internal: true}\n  outer: {}\n";
        host.stack(&format!("name: shop\nservices:\n{services}{networks}"))
    };
    let service = |name: &str, networks: &str| {
        let root = root.path().display();
        format!(
            "  {name}: {{rootfs: {root}, command: sleep 1000, stop_grace_period: 0s, {ask}, \
             networks: {networks}}}\n"
        )
    };
    let services = service("inside", "[inner]")
        + &service("between", "[inner, outer]")
        + &service("outside", "[outer]");
    let stack = file(&services);
    stack.up();
    let inside = told(&stack, "inside", "- between www.test outside");
    assert!(inside[0].starts_with("NoError aa ra 5="), "{inside:?}");
    assert_eq!(inside[1..], ["NXDomain aa ra", "NXDomain aa ra"]);
    assert!(upstream.asked().is_empty());
    // Who is in both knows the names of both, and asks outside.
    let between = told(&stack, "between", "- inside outside www.test");
    assert!(
        between[..2]
            .iter()
            .all(|line| line.starts_with("NoError aa ra 5=")),
        "{between:?}"
    );
    assert_eq!(between[2], "NoError ra 60=192.0.2.1");
    let resolv = stack.exec("between", "cat /etc/resolv.conf");
    assert_eq!(resolv.matches("nameserver").count(), 2, "{resolv}");
    for server in resolv
        .lines()
        .filter_map(|line| line.strip_prefix("nameserver "))
    {
        let both = told(&stack, "between", &format!("{server} inside outside"));
        assert_eq!(both, between[..2]);
    }
    // The gateway of a network is no name server for others.
    let inner = stack.exec("inside", "cat /etc/resolv.conf");
    let inner = inner
        .lines()
        .find_map(|line| line.strip_prefix("nameserver "))
        .unwrap();
    let foreign = stack
        .coop("exec")
        .args(["outside", "timeout", "2", ASK, inner, "inside"]);
    assert!(!foreign.run().text().contains("NoError"));
    stack.down();
}

#[test]
fn containers_of_several_supervisors_know_one_another_whoever_dies() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    let volume = mount();
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

#[test]
fn a_container_that_is_renamed_leaves_its_name_to_others() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.resolve_by("");
    let volume = mount();
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
    let volume = mount();
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
    let volume = mount();
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

#[test]
fn who_else_answers_questions_on_the_host_is_no_obstacle() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    // At all addresses, as many name servers do; and at the port that is chosen first.
    let upstream = Upstream::new(&host, "0.0.0.0");
    let usual = UdpSocket::bind("0.0.0.0:20053").unwrap();
    host.resolve_by("nameserver 127.0.0.1\n");
    upstream.says("www.test.", Says::Address([192, 0, 2, 1].into(), 60));
    let ask = asking();
    let services = [("client", ask.as_str(), SLEEP), ("web", "", SLEEP)];
    let stack = host.services(&root, &services);
    stack.up();
    let web = format!("NoError aa ra 5={}", address(&host, "shop-web-1"));
    let answers = [web.as_str(), "NoError ra 60=192.0.2.1"];
    assert_eq!(told(&stack, "client", "- web www.test"), answers);
    assert_eq!(told(&stack, "client", "tcp - web www.test"), answers);
    // Another supervisor finds the port again, which is free by now for others.
    drop(usual);
    let [supervisor] = host.supervisors()[..] else {
        panic!("one supervisor");
    };
    let pid = rustix::process::Pid::from_raw(supervisor as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    wait_until("it is gone", || !host.supervisors().contains(&supervisor));
    assert_eq!(told(&stack, "client", "- web www.test"), answers);
    stack.down();
}

#[test]
fn a_container_may_publish_the_port_of_name_servers() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.resolve_by("");
    let server = "ports: ['53:53/udp', '53:53/tcp']";
    let ask = asking();
    let services = [("client", ask.as_str(), SLEEP), ("server", server, SLEEP)];
    let stack = host.services(&root, &services);
    stack.up();
    let answer = format!("NoError aa ra 5={}", address(&host, "shop-server-1"));
    assert_eq!(told(&stack, "client", "- server"), [&*answer]);
    assert_eq!(told(&stack, "client", "tcp - server"), [&*answer]);
    // The host's user asks there as well.
    let resolv = stack.exec("client", "cat /etc/resolv.conf");
    let gateway = resolv
        .lines()
        .find_map(|line| line.strip_prefix("nameserver "))
        .unwrap();
    let program = mount();
    let asked = host
        .tool(program.split(':').next().unwrap())
        .args([gateway, "server"])
        .run();
    assert_eq!(asked.success().text(), answer);
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
