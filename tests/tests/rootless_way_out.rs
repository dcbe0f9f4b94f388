//! The way out of a user's networks: `pasta`, or `slirp4netns`, or neither.

use std::path::Path;

use coop_tests::page::wait_for_page;
use coop_tests::{Host, User, UserStack, World, user_with_networks, wait_until, web};

/// Takes a program away from this test's host.
fn hide(program: &str) {
    let path = Path::new("/usr/bin").join(program);
    if path.exists() {
        rustix::mount::mount_bind("/dev/null", &path).expect("hide a program");
    }
}

#[test]
fn a_way_out_that_is_killed_is_opened_again() {
    let host = Host::new();
    let user = user_with_networks!(&host);
    let world = World::new(&host);
    let _server = world.serve();
    let (stack, up) = UserStack::up(&host, user, &web(""));
    up.success();
    let get = || {
        let get = stack.sh(
            "client",
            "timeout 1 wget -q -O - http://192.0.2.1:8000/page",
        );
        get.stdout.contains("outside")
    };
    wait_until("the world answers", get);
    let [program] = &host.ways_out()[..] else {
        panic!("{:?}", host.processes())
    };
    let pid = program.split(' ').next().unwrap().parse().unwrap();
    host.kill(pid);
    wait_until("the world answers again", get);
    stack.down();
}

#[test]
fn a_host_without_a_network_has_networks_all_the_same() {
    let host = Host::new();
    let user = user_with_networks!(&host);
    let (stack, up) = UserStack::up(&host, user, &web("'8080:80'"));
    up.success();
    wait_for_page("127.0.0.1:8080");
    wait_until("web answers", || {
        let get = stack.sh("client", "timeout 2 wget -q -O - http://web/page");
        get.stdout.contains("hello")
    });
    stack.down();
}

#[test]
fn slirp4netns_is_the_second_choice() {
    if !Path::new("/usr/bin/slirp4netns").exists() {
        coop_tests::skip!("slirp4netns is not installed");
    }
    let host = Host::new();
    let user = user_with_networks!(&host);
    hide("pasta");
    let world = World::new(&host);
    let _server = world.serve();
    let before = host.snapshot();
    let (stack, up) = UserStack::up(&host, user, &web("'8080:80'"));
    up.success();
    wait_for_page("127.0.0.1:8080");
    wait_until("the world answers", || {
        let get = stack.sh(
            "client",
            "timeout 2 wget -q -O - http://192.0.2.1:8000/page",
        );
        get.stdout.contains("outside")
    });
    assert!(host.ways_out()[0].contains("slirp4netns"));
    stack.down();
    host.assert_nothing_left(&before);
}

#[test]
fn with_neither_program_there_is_a_loopback_and_the_packages_are_named() {
    let host = Host::new();
    let user = User::new(&host);
    hide("pasta");
    hide("slirp4netns");
    let run = |flags: &[&'static str]| {
        let args = ["run", "--rm"].into_iter().chain(flags.iter().copied());
        user.coop(args.chain(["coop/host", "ip", "-o", "link"]))
            .run()
    };
    run(&["-p", "8080:80"]).fails(125, &["published ports", "without root", "passt"]);
    run(&["--network", "bridge"]).fails(125, &["network bridge", "slirp4netns"]);
    let default = run(&[]);
    default.success().warns("package passt, or slirp4netns");
    assert_eq!(default.stdout.lines().count(), 1, "{default}");
    default.says("lo:");
    let (stack, up) = UserStack::up(&host, user, &web("").replace("    ports: []\n", ""));
    up.success().warns("network_mode: none");
    assert_eq!(up.stderr.matches("network_mode: none").count(), 1, "{up}");
    stack.down();
}
