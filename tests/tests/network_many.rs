//! Many containers on several networks: how many programs that takes, and who reaches whom.

#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use coop_tests::ask::{asking, told_in};
use coop_tests::{Host, Rootfs, Stack};

/// Programs of this host that write down each time that they are run.
struct Counted(PathBuf);

impl Counted {
    fn new(host: &Host, programs: &[&str]) -> Self {
        let log = host.work().join("runs");
        for program in programs {
            let place = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"]
                .map(|directory| Path::new(directory).join(program));
            let place = place.iter().find(|path| path.exists()).unwrap();
            let place = fs::canonicalize(place).unwrap();
            let real = host.work().join(format!("real-{program}"));
            fs::copy(&place, &real).unwrap();
            let script = format!(
                "#!/bin/sh\necho {program} >>{}\nexec {} \"$@\"\n",
                log.display(),
                real.display()
            );
            let wrapper = host.file(&format!("wrapped-{program}"), script);
            fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).unwrap();
            // Seen on this host only: it has a mount namespace of its own.
            host.tool("mount")
                .arg("--bind")
                .args([&wrapper, &place])
                .run()
                .success();
        }
        Self(log)
    }

    /// How often each was run since the last time.
    fn take(&self, program: &str) -> usize {
        let text = fs::read_to_string(&self.0).unwrap_or_default();
        text.lines().filter(|line| *line == program).count()
    }
}

/// The address of a container on its network.
fn address(host: &Host, container: &str) -> String {
    let settings = &host.inspect(container)["NetworkSettings"];
    settings["IPAddress"].as_str().unwrap().to_owned()
}

#[test]
fn fifty_containers_on_two_networks_take_one_ip_and_one_nft() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let before = host.snapshot();
    let counted = Counted::new(&host, &["ip", "nft"]);
    let asking = asking();
    let service = |network: &str| {
        format!(
            "{{rootfs: {}, scale: 25, stop_signal: SIGKILL, {asking}, networks: [{network}], command: [/bin/sh, -c, 'mkdir -p /tmp/w; echo x >/tmp/w/p; exec httpd -f -p 80 -h /tmp/w']}}",
            root.path().display()
        )
    };
    let stack: Stack<'_> = host.stack(&format!(
        "name: many\nservices:\n  a: {}\n  b: {}\nnetworks: {{one: , two: }}\n",
        service("one"),
        service("two")
    ));
    stack.up();
    assert_eq!((counted.take("ip"), counted.take("nft")), (1, 1));

    let names = |service: &str| -> Vec<String> {
        (1..=25)
            .map(|number| format!("many-{service}-{number}"))
            .collect()
    };
    let addresses = |service: &str| -> Vec<String> {
        { names(service).into_iter() }
            .map(|name| address(&host, &name))
            .collect()
    };
    let (one, two) = (addresses("a"), addresses("b"));
    // All of its own network, one after the other, and those of the other one all at once.
    for (service, own, other) in [("a", &one, &two), ("b", &two, &one)] {
        let foreign = if service == "a" {
            "many-b-1"
        } else {
            "many-a-1"
        };
        let all = names(service).join(" ");
        let known: Vec<_> = { own.iter() }
            .map(|address| format!("NoError aa ra 5={address}"))
            .collect();
        for name in names(service) {
            let told = told_in(&host, &name, &format!("- {all} {foreign}"));
            assert_eq!(told[..25], known, "{name}");
            assert!(!told[25].starts_with("NoError"), "{name}: {told:?}");
            let mut script = String::new();
            for address in own {
                let _ = writeln!(
                    script,
                    "timeout 20 wget -q -O - http://{address}/p >/dev/null || echo lost {address}"
                );
            }
            if name.ends_with("-1") {
                for address in other {
                    let _ = writeln!(
                        script,
                        "(timeout 3 wget -q -O - http://{address}/p >/dev/null 2>&1 && echo reached {address}) &"
                    );
                }
                script += "wait\n";
            }
            let output = host.coop(["exec", &name, "/bin/sh", "-c", &script]).run();
            assert_eq!(output.success().text(), "", "{name}");
        }
        // The kernel has room for 1,024 neighbours in all network namespaces together.
        for name in names(service) {
            let pid = host.pid_of(&name).to_string();
            let flush = ["-n", "-t", &pid, "ip", "neigh", "flush", "dev", "eth0"];
            host.tool("nsenter").args(flush).run().success();
        }
    }
    stack.down();
    host.tool("umount").args(["-l", "/usr/sbin/nft"]).run();
    host.tool("umount").args(["-l", "/usr/sbin/ip"]).run();
    host.assert_nothing_left(&before);
}
