//! What a user may be doing when the kill comes.

use coop_tests::{Cmd, Host, Running, Stack};

use super::PATIENCE;

/// A command, and what has to be there for it.
pub(crate) struct Act {
    pub(crate) name: &'static str,
    /// The whole stack is up before.
    pub(crate) needs_stack: bool,
    /// Commands that lead to where it begins.
    pub(crate) before: &'static [&'static [&'static str]],
    words: &'static [&'static str],
}

impl Act {
    const fn new(name: &'static str, words: &'static [&'static str]) -> Self {
        Self {
            name,
            needs_stack: true,
            before: &[],
            words,
        }
    }

    const fn after(self, before: &'static [&'static [&'static str]]) -> Self {
        Self { before, ..self }
    }

    const fn alone(self) -> Self {
        Self {
            needs_stack: false,
            ..self
        }
    }

    pub(crate) fn start<'h>(&self, host: &'h Host, stack: &Stack<'h>) -> Running<'h> {
        command(host, stack, self.words).spawn()
    }
}

/// Words that begin with `stack` are about the stack's file.
pub(crate) fn command<'h>(host: &'h Host, stack: &Stack<'h>, words: &[&str]) -> Cmd<'h> {
    let command = match words {
        ["stack", verb, rest @ ..] => stack.coop(verb).args(rest),
        words => host.coop(words),
    };
    command.env("TOKEN", "secret").timeout(PATIENCE)
}

/// All of them.
pub(crate) const ACTS: &[Act] = &[
    Act::new("up", &["stack", "up", "-d"]).after(DOWN).alone(),
    Act::new("up again", &["stack", "up", "-d"]).after(STOPPED),
    Act::new("up anew", &["stack", "up", "-d", "--force-recreate"]),
    Act::new("up wider", &["stack", "up", "-d", "--scale", "worker=3"]),
    Act::new("up and wait", &["stack", "up", "--wait"]),
    Act::new("down", &["stack", "down", "--timeout", "0"]),
    Act::new("down -v", &["stack", "down", "-v", "--timeout", "0"]),
    Act::new("stop", &["stack", "stop", "-t", "0"]),
    Act::new("start", &["stack", "start"]).after(STOPPED),
    Act::new("restart", &["stack", "restart", "-t", "0"]),
    Act::new("kill", &["stack", "kill", "client"]),
    Act::new("pause", &["stack", "pause", "web"]),
    Act::new("unpause", &["stack", "unpause", "web"]).after(&[&["stack", "pause", "web"]]),
    Act::new("exec", &["stack", "exec", "web", "sh", "-c", "sleep 0.02"]),
    Act::new("cp out", &["stack", "cp", "client:/usr/bin", "out"]),
    Act::new("cp in", &["stack", "cp", "/etc", "web:/tmp/in"]),
    Act::new("cp stopped", &["stack", "cp", "/etc", "web:/data/in"]).after(STOPPED),
    Act::new("rm", &["stack", "rm", "-f", "web"]),
    Act::new("rm -v", &["stack", "rm", "-fv", "web", "client"]),
    Act::new("rename", &["stack", "rename", "web", "renamed"]).after(&[&[
        "stack",
        "rename",
        "web",
        "soak-web-1",
    ]]),
    Act::new("rename back", &["stack", "rename", "web", "soak-web-1"])
        .after(&[&["stack", "rename", "web", "renamed"]]),
    Act::new(
        "update",
        &[
            "stack",
            "update",
            "--memory",
            "256m",
            "--restart",
            "always",
            "web",
        ],
    ),
    Act::new("run --rm", &["run", "--rm", "coop/host", "sleep", "0.02"]),
    Act::new(
        "run -d --rm",
        &[
            "run",
            "-d",
            "--rm",
            "-p",
            "9090:80",
            "-v",
            "/data",
            "coop/host",
            "sleep",
            "0.05",
        ],
    ),
    Act::new(
        "run -d",
        &[
            "run",
            "-d",
            "--name",
            "box",
            "--restart",
            "always",
            "coop/host",
            "sleep",
            "1000",
        ],
    )
    .after(&[&["rm", "-f", "-v", "box"]]),
    Act::new("rm single", &["rm", "-f", "-v", "box"]).after(&[&[
        "run",
        "-d",
        "--name",
        "box",
        "-v",
        "extra:/x",
        "coop/host",
        "sleep",
        "1000",
    ]]),
    Act::new(
        "create",
        &["create", "--name", "made", "coop/host", "sleep", "1000"],
    )
    .after(&[&["rm", "-fv", "made"]]),
    Act::new("start created", &["start", "made"]).after(&[
        &["rm", "-fv", "made"],
        &[
            "create",
            "--name",
            "made",
            "-v",
            "/data",
            "coop/host",
            "sleep",
            "1000",
        ],
    ]),
    Act::new("volume create", &["volume", "create", "extra"])
        .after(&[&["rm", "-fv", "box"], &["volume", "rm", "-f", "extra"]]),
    Act::new("volume rm", &["volume", "rm", "extra"])
        .after(&[&["rm", "-fv", "box"], &["volume", "create", "extra"]]),
    Act::new("prune", &["prune", "-f"]).after(STOPPED),
    Act::new("system check", &["system", "check"]),
];

const DOWN: &[&[&str]] = &[&["stack", "down", "--timeout", "0"]];
const STOPPED: &[&[&str]] = &[&["stack", "stop", "-t", "0"]];
