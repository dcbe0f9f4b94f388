//! Names that the name server of a network asks others for, and who may ask for them.

use std::net::UdpSocket;

use coop_tests::ask::{self, ASK, address, asking, told};
use coop_tests::{Host, Rootfs, Says, Upstream, wait_until};

const SLEEP: &str = "exec sleep 1000";

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
    let asked = host.tool(ask::program()).args([gateway, "server"]).run();
    assert_eq!(asked.success().text(), answer);
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
