//! Where attacks happen: an image with `hostile` in it, and on the host what it is after.

use std::cell::OnceCell;
use std::ffi::OsString;
use std::fs;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::PathBuf;

use super::shared_memory::Segment;
use crate::{Cmd, Host, Rootfs, Running, Stack, wait_until};

/// A host with an image and bait. What no row asks for is not made.
pub struct Scene<'h> {
    host: &'h Host,
    root: Rootfs,
    victim: OnceCell<Running<'h>>,
    secret: OnceCell<PathBuf>,
    listener: OnceCell<TcpListener>,
    socket: OnceCell<UnixListener>,
    link: OnceCell<()>,
    memory: OnceCell<Segment>,
    neighbour: OnceCell<(Stack<'h>, String)>,
}

/// The program of attacks as cargo has built it, unless `COOP_HOSTILE` says otherwise.
fn hostile() -> PathBuf {
    if let Some(named) = std::env::var_os("COOP_HOSTILE") {
        return named.into();
    }
    // target/<triple>/debug/deps/<test> -> target/<triple>/debug/hostile
    let test = std::env::current_exe().expect("the path of this test");
    let directory = test.ancestors().nth(2).expect("a target directory");
    directory.join("hostile")
}

const LINK: &str = "outside0";
const SOCKET: &str = "coop-outside";
const NEIGHBOUR: &str = "escape-neighbour-1";

impl<'h> Scene<'h> {
    /// A scene on this host.
    ///
    /// # Panics
    /// When the program of attacks is missing.
    pub fn new(host: &'h Host) -> Self {
        let root = Rootfs::new(host);
        let program = hostile();
        for (name, mode) in [("hostile", 0o755), ("hostile-setuid", 0o4755)] {
            let copy = root.path().join("bin").join(name);
            fs::copy(&program, &copy).unwrap_or_else(|e| panic!("{}: {e}", program.display()));
            fs::set_permissions(&copy, fs::Permissions::from_mode(mode)).expect("its mode");
        }
        Self {
            host,
            root,
            victim: OnceCell::new(),
            secret: OnceCell::new(),
            listener: OnceCell::new(),
            socket: OnceCell::new(),
            link: OnceCell::new(),
            memory: OnceCell::new(),
            neighbour: OnceCell::new(),
        }
    }

    /// `hostile WORDS` in a container with these flags.
    pub(super) fn in_container(&self, flags: &[&str], words: &[&str]) -> Cmd<'h> {
        let run = self.host.coop(["run", "--rm"]);
        // A network is made for those that ask for one: it takes the longest of all.
        let run = if flags.contains(&"--network") {
            run
        } else {
            run.args(["--network", "none"])
        };
        run.args(self.filled(flags))
            .arg("--rootfs")
            .arg(self.root.path())
            .args(["--", "/bin/hostile"])
            .args(self.filled(words))
            // As if leaked: a descriptor of the caller's that is not closed on exec.
            .through_shell(r#"exec 9</; exec "$@""#)
    }

    /// `hostile WORDS` on the host itself, by root.
    pub(super) fn outside(&self, words: &[&str]) -> Cmd<'h> {
        self.host
            .tool(hostile())
            .args(self.filled(words))
            .through_shell(r#"exec 9</; exec "$@""#)
    }

    /// The words, with what this scene has for those in braces.
    fn filled(&self, words: &[&str]) -> Vec<OsString> {
        words.iter().map(|word| self.fill(word).into()).collect()
    }

    fn fill(&self, word: &str) -> String {
        let mut text = word.to_owned();
        while let Some(start) = text.find('{') {
            let end = start + text[start..].find('}').expect("a closing brace");
            let value = self.value(&text[start + 1..end]);
            text.replace_range(start..=end, &value);
        }
        text
    }

    fn value(&self, name: &str) -> String {
        match name {
            "victim" => self.victim().to_string(),
            "secret" => self.secret().display().to_string(),
            "outside" => self
                .secret()
                .parent()
                .expect("a directory")
                .display()
                .to_string(),
            "port" => self.port().to_string(),
            "socket" => self.socket(),
            "link" => self.link().to_owned(),
            "memory" => self.memory.get_or_init(Segment::create).key().to_string(),
            "neighbour" => self.neighbour(),
            "neighbour-name" => {
                self.neighbour();
                NEIGHBOUR.to_owned()
            }
            other => panic!("no {other} in this scene"),
        }
    }

    /// A process of the host's root.
    fn victim(&self) -> u32 {
        let start = || self.host.tool("sleep").arg("1000").spawn();
        self.victim.get_or_init(start).pid()
    }

    /// A file that only the host's root may read.
    fn secret(&self) -> &PathBuf {
        self.secret.get_or_init(|| {
            let file = self.host.file("outside/secret", "secret\n");
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("its mode");
            file
        })
    }

    /// A port on the host's own loopback interface.
    fn port(&self) -> u16 {
        let listen = || TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = self.listener.get_or_init(listen).local_addr();
        address.expect("the port's number").port()
    }

    /// A socket that has a name in the host's network namespace, and no file.
    fn socket(&self) -> String {
        self.socket.get_or_init(|| {
            let address = SocketAddr::from_abstract_name(SOCKET).expect("a name");
            UnixListener::bind_addr(&address).expect("an abstract socket")
        });
        SOCKET.to_owned()
    }

    fn link(&self) -> &'static str {
        self.link.get_or_init(|| {
            let ip = self.host.tool("ip");
            let add = ip.args(["link", "add", LINK, "type", "bridge"]);
            add.run().success();
        });
        LINK
    }

    /// A container of another network, which listens on port 80; its address.
    fn neighbour(&self) -> String {
        let make = || {
            let yaml = format!(
                "name: escape\nservices:\n  neighbour:\n    rootfs: {}\n    \
                 command: [httpd, -f, -p, '80', -h, /etc]\n",
                self.root.path().display()
            );
            let stack = self.host.stack(&yaml);
            stack.up();
            wait_until("the neighbour listens", || {
                let listening = "nc -z 127.0.0.1 80 || wget -qO /dev/null http://127.0.0.1/passwd";
                let exec = self.host.coop(["exec", NEIGHBOUR, "sh", "-c", listening]);
                exec.run().status.success()
            });
            let networks = &self.host.inspect(NEIGHBOUR)["NetworkSettings"]["Networks"];
            let first = networks.as_object().and_then(|all| all.values().next());
            let address = first.and_then(|network| network["IPAddress"].as_str());
            (stack, address.expect("an address").to_owned())
        };
        self.neighbour.get_or_init(make).1.clone()
    }
}

impl Drop for Scene<'_> {
    fn drop(&mut self) {
        if let Some((stack, _)) = self.neighbour.get()
            && !std::thread::panicking()
        {
            stack.down();
        }
    }
}
