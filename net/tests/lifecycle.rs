//! What is made, by how many processes, and that nothing stays.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use common::{World, ask, is_root, sees, spec};
use coop_net::{Error, Finding, LeaseRequest, LinkBatch};
use rustix::fs::inotify;
use rustix::mount::{MountPropagationFlags, mount_bind, mount_change};
use rustix::process::Pid;
use rustix::thread::{UnshareFlags, unshare_unsafe};

#[test]
fn a_table_that_lost_its_mark_is_replaced_and_not_added_to() {
    if !is_root("a_table_that_lost_its_mark_is_replaced_and_not_added_to") {
        return;
    }
    let world = World::new();
    let before = world.trace();
    let shop = world.up(&spec("shop"), &[ask("web", "")]);
    let table = shop[0].lease.bridge.replace('-', "_");
    // Somebody emptied it and put a rule of his own in.
    world.host.sh(&format!(
        "nft 'flush table inet {table}; add chain inet {table} theirs; add rule inet {table} theirs counter'"
    ));
    world.with(|networks| networks.apply_rules("shop").unwrap().wait().unwrap());
    let rules = world.host.sh("nft list ruleset");
    assert!(
        rules.contains(&table) && !rules.contains("theirs"),
        "{rules}"
    );
    drop(shop);
    world.with(|networks| networks.release_all("shop").unwrap());
    assert_eq!(world.trace(), before);
}

#[test]
fn rules_are_seen_by_who_asks_again_from_the_same_port() {
    if !is_root("rules_are_seen_by_who_asks_again_from_the_same_port") {
        return;
    }
    let world = World::new();
    // Connections are tracked already, and what is asked comes from one of two ports.
    world.host.sh("nft 'add table ip theirs; \
         add chain ip theirs out { type filter hook output priority 0; }; \
         add rule ip theirs out ct state new accept; \
         add chain ip theirs nat { type nat hook output priority 0; }'; \
         echo 40000 40001 > /proc/sys/net/ipv4/ip_local_port_range");
    let before = world.trace();
    for _ in 0..8 {
        let shop = world.up(&spec("shop"), &[ask("web", "")]);
        drop(shop);
        world.with(|networks| networks.release_all("shop").unwrap());
        assert_eq!(world.trace(), before);
    }
}

#[test]
fn release_of_the_last_container_leaves_nothing() {
    if !is_root("release_of_the_last_container_leaves_nothing") {
        return;
    }
    let world = World::new();
    let before = world.trace();
    let mut shop = world.up(
        &spec("shop"),
        &[ask("web", "8080:80"), ask("db", "5432:5432/udp")],
    );
    let other = world.up(&spec("other"), &[ask("stranger", "")]);
    let web = shop.remove(0);
    web.ns.serve("web", "0.0.0.0", 80);

    // One of two goes, its namespace still alive: link and port go, the rest stays.
    world.with(|networks| networks.release("shop", "db").unwrap());
    assert!(!world.trace().contains(&shop[0].lease.host_interface));
    assert_eq!(world.outside.udp(common::HOST, 5432), None);
    assert!(!world.host.sh("nft list ruleset").contains("5432"));
    assert_eq!(
        world.outside.tcp(common::HOST, 8080),
        sees("web", common::OUTSIDE)
    );

    // The other goes by dying first.
    drop(web);
    world.with(|networks| networks.release("shop", "web").unwrap());
    assert!(!world.trace().contains(&shop[0].lease.bridge));
    assert!(world.trace().contains("uplink/forwarding:1"));

    drop(other);
    world.with(|networks| networks.release_all("other").unwrap());
    assert_eq!(world.trace(), before);

    // Once more, for the killed process that did not get to know.
    world.with(|networks| {
        networks.release("shop", "web").unwrap();
        networks.release_all("other").unwrap();
    });
    assert_eq!(world.trace(), before);
}

#[test]
fn an_interrupted_start_is_cleaned_by_release() {
    if !is_root("an_interrupted_start_is_cleaned_by_release") {
        return;
    }
    let world = World::new();
    let before = world.trace();
    let lease = || {
        world.with(|networks| {
            networks
                .lease(&spec("shop"), &[ask("web", "8080:80")])
                .unwrap()
                .remove(0)
        })
    };

    // Killed after planning.
    lease();
    world.with(|networks| networks.release("shop", "web").unwrap());
    assert_eq!(world.trace(), before);

    // Killed when the bridge was there and nothing else of it: no address, not up.
    let bridge = lease().bridge;
    world.host.sh(&format!("ip link add {bridge} type bridge"));
    world.with(|networks| networks.release("shop", "web").unwrap());
    assert_eq!(world.trace(), before);

    // The same, but the next `up` goes on from there.
    let bridge = lease().bridge;
    world.host.sh(&format!("ip link add {bridge} type bridge"));
    world.with(|networks| networks.ensure_bridge("shop").unwrap());
    assert!(
        world
            .host
            .sh(&format!("ip addr show {bridge}"))
            .contains("UP")
    );
    // Killed with rules on their way.
    world.with(|networks| drop(networks.apply_rules("shop").unwrap()));
    world.with(|networks| networks.release("shop", "web").unwrap());
    assert_eq!(world.trace(), before);

    // Killed between the last lease and the end of the release.
    let leases = world.networks().directory().join("shop/leases");
    lease();
    world.with(|networks| networks.ensure_bridge("shop").unwrap());
    fs::remove_file(leases.join("web.json")).unwrap();
    world.with(|networks| {
        assert_eq!(
            networks.check(|_| true).unwrap(),
            [Finding::Empty {
                network: "shop".into()
            }]
        );
        networks.release_all("shop").unwrap();
    });
    assert_eq!(world.trace(), before);

    // The state directory was lost: name and container are enough.
    let containers = world.up(&spec("shop"), &[ask("web", "8080:80")]);
    fs::remove_dir_all(leases.parent().unwrap()).unwrap();
    world.with(|networks| networks.release("shop", "web").unwrap());
    drop(containers);
    let after = world.trace();
    assert!(
        !after.contains("coop-") && !after.contains("table inet"),
        "{after}"
    );
}

#[test]
fn check_tells_what_is_missing_and_apply_repairs_it() {
    if !is_root("check_tells_what_is_missing_and_apply_repairs_it") {
        return;
    }
    let world = World::new();
    let shop = world.up(&spec("shop"), &[ask("web", "8080:80"), ask("db", "")]);
    shop[0].ns.serve("web", "0.0.0.0", 80);
    world.with(|networks| {
        assert_eq!(networks.check(|_| true).unwrap(), []);
        let dead = networks.check(|id| id != "db").unwrap();
        assert_eq!(
            dead,
            [Finding::Lease {
                network: "shop".into(),
                container: "db".into()
            }]
        );
    });

    world.host.sh("nft flush ruleset");
    world.with(|networks| {
        assert_eq!(
            networks.check(|_| true).unwrap(),
            [Finding::NoRules {
                network: "shop".into()
            }]
        );
        let rules = networks.apply_rules("shop").unwrap();
        assert!(rules.is_running());
        rules.wait().unwrap();
        assert_eq!(networks.check(|_| true).unwrap(), []);
    });
    assert_eq!(
        world.outside.tcp(common::HOST, 8080),
        sees("web", common::OUTSIDE)
    );

    let bridge = shop[0].lease.bridge.clone();
    world.host.sh(&format!("ip link set {bridge} down"));
    world.with(move |networks| {
        assert_eq!(
            networks.check(|_| true).unwrap(),
            [Finding::NoBridge {
                network: "shop".into(),
                bridge
            }]
        );
        networks.ensure_bridge("shop").unwrap();
        assert_eq!(networks.check(|_| true).unwrap(), []);
    });
    assert_eq!(
        world.outside.tcp(common::HOST, 8080),
        sees("web", common::OUTSIDE)
    );
}

/// A copy of a tool, in its place for this thread's mount namespace only, and a watch on
/// it: every exec opens the file.
struct Counter(std::os::fd::OwnedFd);

impl Counter {
    fn of(tool: &str, directory: &Path) -> Self {
        let places =
            ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(|place| PathBuf::from(place).join(tool));
        let place = fs::canonicalize(places.iter().find(|path| path.exists()).unwrap()).unwrap();
        let copy = directory.join(tool);
        fs::copy(&place, &copy).unwrap();
        mount_bind(&copy, &place).unwrap();
        let watch =
            inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK).unwrap();
        inotify::add_watch(&watch, &copy, inotify::WatchFlags::OPEN).unwrap();
        Self(watch)
    }

    fn count(&self) -> usize {
        let mut buffer = [std::mem::MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(self.0.as_fd(), &mut buffer);
        std::iter::from_fn(|| reader.next().ok().map(|_| ())).count()
    }
}

#[test]
fn twenty_containers_take_one_ip_and_one_nft() {
    if !is_root("twenty_containers_take_one_ip_and_one_nft") {
        return;
    }
    let world = World::new();
    let tools = tempfile::tempdir().unwrap();
    let directory = tools.path().to_owned();
    let counters = world.host.run(move || {
        // SAFETY: a mount namespace of its own (and with it a working directory) takes no
        // descriptor and no memory away from the other threads.
        unsafe { unshare_unsafe(UnshareFlags::NEWNS) }.unwrap();
        mount_change(
            "/",
            MountPropagationFlags::REC | MountPropagationFlags::PRIVATE,
        )
        .unwrap();
        ["ip", "nft"].map(|tool| Counter::of(tool, &directory))
    });
    let counts = || counters.each_ref().map(Counter::count);

    let names: Vec<String> = (0..20).map(|n| format!("c{n}")).collect();
    let requests: Vec<_> = names
        .iter()
        .enumerate()
        .map(|(n, id)| ask(id, &format!("{}:80", 8000 + n)))
        .collect();
    let mut containers = world.up(&spec("shop"), &requests);
    assert_eq!(counts(), [1, 1]);

    // Every one reaches every other.
    for container in &containers {
        container.ns.serve("neighbour", "0.0.0.0", 80);
    }
    for from in &containers {
        for to in &containers {
            assert_eq!(
                from.ns.tcp(&to.address(), 80),
                sees("neighbour", &from.address())
            );
        }
    }
    assert_eq!(
        world.outside.tcp(common::HOST, 8019),
        sees("neighbour", common::OUTSIDE)
    );

    // One more: what may come in by its link is added. Once more: it is there.
    counts();
    containers.extend(world.up(&spec("shop"), &[ask("late", "")]));
    assert_eq!(counts(), [1, 1]);
    world.with(|networks| networks.apply_rules("shop").unwrap().wait().unwrap());
    assert_eq!(counts(), [0, 0]);
    // One that goes, when its link has gone with it: no process at all.
    let late = containers.pop().unwrap();
    world
        .host
        .sh(&format!("ip link del {}", late.lease.host_interface));
    counts();
    world.with(|networks| networks.release("shop", "late").unwrap());
    assert_eq!(counts(), [0, 0]);
    // All of them, namespaces still alive.
    world.with(|networks| networks.release_all("shop").unwrap());
    assert_eq!(counts(), [1, 1]);
}

#[test]
fn a_link_that_fails_names_its_container() {
    if !is_root("a_link_that_fails_names_its_container") {
        return;
    }
    let world = World::new();
    let alive = common::Ns::new();
    let pid = alive.pid;
    let error = world.with(move |networks| {
        let leases = networks
            .lease(&spec("shop"), &[ask("web", ""), ask("db", "")])
            .unwrap();
        networks.ensure_bridge("shop").unwrap();
        let mut links = LinkBatch::spawn().unwrap();
        links.add(&leases[0], pid).unwrap();
        links
            .add(&leases[1], Pid::from_raw(i32::MAX).unwrap())
            .unwrap();
        links.commit().unwrap_err()
    });
    assert!(
        matches!(&error, Error::Link { container, .. } if container == "db"),
        "{error}"
    );
    world.with(|networks| networks.release_all("shop").unwrap());
}

#[test]
fn a_forked_container_that_holds_the_descriptors_holds_up_nobody() {
    if !is_root("a_forked_container_that_holds_the_descriptors_holds_up_nobody") {
        return;
    }
    let world = World::new();
    let container = common::Ns::new();
    let pid = container.pid;
    world.with(move |networks| {
        let leases = networks
            .lease(&spec("shop"), &[ask("web", "8080:80")])
            .unwrap();
        networks.ensure_bridge("shop").unwrap();
        let rules = networks.apply_rules("shop").unwrap();
        let mut links = LinkBatch::spawn().unwrap();
        // SAFETY: the child does nothing but system calls.
        let child = unsafe { libc::fork() };
        if child == 0 {
            loop {
                // SAFETY: no arguments, no memory.
                unsafe { libc::pause() };
            }
        }
        links.add(&leases[0], pid).unwrap();
        links.commit().unwrap();
        rules.wait().unwrap();
        // Nor does it hold the lock of the network.
        networks.ensure_bridge("shop").unwrap();
        networks.release("shop", "web").unwrap();
        let child = Pid::from_raw(child).unwrap();
        rustix::process::kill_process(child, rustix::process::Signal::KILL).unwrap();
        rustix::process::waitpid(Some(child), rustix::process::WaitOptions::empty()).unwrap();
    });
}

#[test]
fn a_container_that_starts_again_keeps_its_place_and_replaces_its_link() {
    if !is_root("a_container_that_starts_again_keeps_its_place_and_replaces_its_link") {
        return;
    }
    let world = World::new();
    let first = world.up(&spec("shop"), &[ask("web", "80"), ask("db", "")]);
    // The first life is still around when the second begins.
    let second = world.up(&spec("shop"), &[ask("web", "80")]);
    assert_eq!(first[0].lease, second[0].lease);
    assert_ne!(second[0].lease.ports[0].host_port, 0);
    assert!(second[0].ns.ping(&first[1].address()));
}

#[test]
fn a_link_that_comes_again_is_let_in_by_the_address_that_it_has_now() {
    if !is_root("a_link_that_comes_again_is_let_in_by_the_address_that_it_has_now") {
        return;
    }
    let world = World::new();
    let db = world.up(&spec("shop"), &[ask("db", "")]).remove(0);
    let first = db.lease.subnet().network().to_bits();
    for is_released in [true, false] {
        // Rules for the first address are in the kernel when it comes back to that.
        for last in [10, 11, 10] {
            let request = LeaseRequest {
                address: Some((first + last).into()),
                ..ask("web", "")
            };
            let web = world.up(&spec("shop"), &[request]).remove(0);
            assert!(
                web.ns.ping(&db.address()),
                "{} {is_released}",
                web.address()
            );
            if is_released {
                drop(web);
                world.with(|networks| networks.release("shop", "web").unwrap());
            }
        }
    }
}

#[test]
fn the_longest_name_is_as_good_as_any() {
    if !is_root("the_longest_name_is_as_good_as_any") {
        return;
    }
    let world = World::new();
    let before = world.trace();
    let name = "n".repeat(200);
    let pair = world.up(&spec(&name), &[ask(&name, "8080:80"), ask("db", "")]);
    assert!(pair[0].ns.ping(&pair[1].address()));
    drop(pair);
    world.with(move |networks| networks.release_all(&name).unwrap());
    assert_eq!(world.trace(), before);
}
