//! Real terminals, real pipes, real programs at the other end.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};

use proptest::prelude::*;
use rustix::event::epoll;
use rustix::fs::OFlags;

use super::*;

/// A program whose terminal is a new one, as a container's first process has it.
fn start_on_terminal(script: &str) -> (Child, OwnedFd) {
    let (master, slave) = open_pty_in_container().unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    // SAFETY: only system calls, fit for a forked child.
    unsafe {
        command.pre_exec(move || {
            // A shell's background jobs ignore SIGINT, and so would this one's children.
            crate::signals::reset_for_child().map_err(|error| error.source)?;
            make_controlling(slave.as_fd()).map_err(|error| match error {
                TerminalError::Call { source, .. } => source.into(),
                other @ TerminalError::NotPty { .. } => std::io::Error::other(other),
            })
        });
    }
    let child = command.spawn().unwrap();
    // With the command goes this process's copy of the slave.
    (child, master)
}

/// The event loop that a relay is made for.
fn run(relay: &mut Relay) {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
    while relay.pump().unwrap() != Progress::Done {
        relay.register(&epoll, 7).unwrap();
        let mut events = Vec::with_capacity(4);
        epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), None).unwrap();
        assert!(
            events
                .iter()
                .all(|event: &epoll::Event| event.data.u64() == 7)
        );
    }
}

fn file_with(content: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(content).unwrap();
    file.rewind().unwrap();
    file
}

fn content_of(mut file: File) -> Vec<u8> {
    let mut content = Vec::new();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.read_to_end(&mut content).unwrap();
    content
}

#[test]
fn a_program_on_the_terminal_talks_through_the_relay() {
    let (mut child, master) =
        start_on_terminal("stty -echo -onlcr; echo ready; read line; echo got $line; exit 5");
    let (input, mut keyboard) = std::io::pipe().unwrap();
    let output = file_with(b"");
    keyboard.write_all(b"hello\n").unwrap();
    let mut relay = Relay::terminal(&input, &output, master).unwrap();
    run(&mut relay);
    assert_eq!(child.wait().unwrap().code(), Some(5));
    let text = String::from_utf8(content_of(output)).unwrap();
    assert!(
        text.contains("ready\n") && text.ends_with("got hello\n"),
        "{text:?}"
    );
}

#[test]
fn ctrl_c_reaches_the_program_because_the_terminal_is_its_own() {
    let (mut child, master) = start_on_terminal("echo ready; exec sleep 600");
    let mut master = File::from(master);
    rustix::io::ioctl_fionbio(&master, false).unwrap();
    let mut byte = [0];
    master.read_exact(&mut byte).unwrap();
    master.write_all(b"\x03").unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGINT));
}

#[test]
fn a_changed_window_is_seen_inside() {
    let (user, _user_slave) = open_pty_in_container().unwrap();
    let window = Winsize {
        ws_row: 33,
        ws_col: 99,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    set_size(&user, window).unwrap();
    let (mut child, master) = start_on_terminal(
        "stty -echo -onlcr; trap 'stty size; exit' WINCH; echo; while :; do sleep 1; done",
    );
    let mut master = File::from(master);
    rustix::io::ioctl_fionbio(&master, false).unwrap();
    let mut byte = [0];
    master.read_exact(&mut byte).unwrap();
    copy_size(&user, &master).unwrap();
    let mut text = String::new();
    // EIO when the program has ended.
    let _ = master.read_to_string(&mut text);
    child.wait().unwrap();
    assert!(text.contains("33 99"), "{text:?}");
}

#[test]
fn a_fake_terminal_multiplexer_in_the_container_is_refused() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: a mount namespace needs root");
        return;
    }
    let test = concat!(module_path!(), "::helper_open_a_fake")
        .split_once("::")
        .unwrap()
        .1;
    for fake in ["/dev/null", "\"$FIFO\""] {
        let output = Command::new("unshare")
            .args(["-m", "sh", "-ec"])
            .arg(format!(
                "FIFO=$(mktemp -u); mkfifo $FIFO; mount --bind {fake} $(realpath /dev/ptmx); \
                 rm $FIFO; exec \"$0\" \"$@\""
            ))
            .arg(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", test])
            .env("COOP_TERMINAL_TEST", "1")
            .output();
        let Ok(output) = output else {
            eprintln!("skipped: no unshare(1)");
            return;
        };
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success(),
            "{text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(text.contains("1 passed"), "{text}");
    }
}

#[test]
#[ignore = "part of another test"]
fn helper_open_a_fake() {
    if std::env::var_os("COOP_TERMINAL_TEST").is_none() {
        return;
    }
    let error = open_pty_in_container().unwrap_err();
    assert!(
        matches!(error, TerminalError::NotPty { path: "/dev/ptmx" }),
        "{error}"
    );
}

#[test]
fn the_detach_keys_end_the_relay_and_not_the_program() {
    let (mut child, master) = start_on_terminal("stty -echo -onlcr; echo ready; cat");
    let (input, mut keyboard) = std::io::pipe().unwrap();
    let output = file_with(b"");
    let mut relay = Relay::terminal(&input, &output, master).unwrap();
    relay.detach_by(&DetachKeys::default());
    keyboard.write_all(b"seen\n\x10").unwrap();
    assert_ne!(relay.pump().unwrap(), Progress::Detached);
    keyboard.write_all(b"\x11unseen\n").unwrap();
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
    while relay.pump().unwrap() != Progress::Detached {
        relay.register(&epoll, 7).unwrap();
        let mut events = Vec::with_capacity(4);
        epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), None).unwrap();
    }
    assert_eq!(child.try_wait().unwrap(), None);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(
        !String::from_utf8(content_of(output))
            .unwrap()
            .contains("unseen")
    );
}

#[test]
fn the_beginning_of_the_detach_keys_is_passed_on_at_the_end_of_the_input() {
    let mut child = Command::new("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let input = file_with(b"text\x10");
    let output = file_with(b"");
    let mut relay = Relay::default();
    relay.detach_by(&DetachKeys::default());
    let stdin = child.stdin.take().unwrap();
    relay.add_input(&input, stdin.into()).unwrap();
    let stdout = child.stdout.take().unwrap();
    relay.add_output(stdout.into(), &output).unwrap();
    run(&mut relay);
    child.wait().unwrap();
    assert_eq!(content_of(output), b"text\x10");
}

#[test]
fn the_end_of_the_input_is_passed_on() {
    let mut child = Command::new("wc")
        .arg("-c")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // More than a pipe holds: some writes are partial.
    let input = file_with(&vec![b'x'; 300_000]);
    let output = file_with(b"");
    let mut relay = Relay::default();
    relay
        .add_input(&input, child.stdin.take().unwrap().into())
        .unwrap();
    relay
        .add_output(child.stdout.take().unwrap().into(), &output)
        .unwrap();
    run(&mut relay);
    child.wait().unwrap();
    assert_eq!(
        String::from_utf8(content_of(output)).unwrap().trim(),
        "300000"
    );
}

#[test]
fn a_container_learns_that_nobody_takes_its_output() {
    let mut child = Command::new("yes").stdout(Stdio::piped()).spawn().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    let mut relay = Relay::default();
    relay
        .add_output(child.stdout.take().unwrap().into(), &writer)
        .unwrap();
    drop(writer);
    let head = std::thread::spawn(move || {
        let mut lines = [0; 200];
        let mut reader = reader;
        reader.read_exact(&mut lines).unwrap();
    });
    run(&mut relay);
    head.join().unwrap();
    // The relay is not dropped: it has closed the pipe, unless the loop still knows of it.
    drop(relay);
    assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGPIPE));
}

#[test]
fn a_slow_user_holds_up_output_and_loses_none() {
    let mut child = Command::new("seq")
        .arg("100000")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut relay = Relay::default();
    relay
        .add_output(child.stdout.take().unwrap().into(), &writer)
        .unwrap();
    // Nobody reads: it comes to rest, with something in hand.
    while relay.pump().unwrap() != Progress::Waiting || relay.pending() == 0 {}
    let slow = std::thread::spawn(move || {
        let mut text = Vec::new();
        let mut piece = [0; 1000];
        loop {
            match reader.read(&mut piece).unwrap() {
                0 => return text,
                length => text.extend_from_slice(&piece[..length]),
            }
        }
    });
    run(&mut relay);
    drop((relay, writer));
    let text = slow.join().unwrap();
    child.wait().unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(
        text.lines()
            .map(|line| line.parse::<u32>().unwrap())
            .eq(1..=100_000)
    );
}

#[test]
fn the_users_descriptors_keep_their_mode_and_their_position() {
    let (input, _keyboard) = std::io::pipe().unwrap();
    let (_screen, output) = std::io::pipe().unwrap();
    let (master, _slave) = open_pty_in_container().unwrap();
    let _relay = Relay::terminal(&input, &output, master).unwrap();
    for fd in [input.as_fd(), output.as_fd()] {
        assert!(
            !rustix::fs::fcntl_getfl(fd)
                .unwrap()
                .contains(OFlags::NONBLOCK)
        );
    }
    // `coop run ... >> file`, with something in the file.
    let mut file = file_with(b"");
    file.write_all(b"before ").unwrap();
    let mut child = Command::new("echo")
        .arg("after")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut relay = Relay::default();
    relay
        .add_output(child.stdout.take().unwrap().into(), &file)
        .unwrap();
    run(&mut relay);
    child.wait().unwrap();
    assert_eq!(content_of(file), b"before after\n");
}

#[test]
fn sockets_are_half_closed() {
    use std::os::unix::net::UnixStream;
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut child = Command::new("cat")
        .stdin(OwnedFd::from(theirs.try_clone().unwrap()))
        .stdout(OwnedFd::from(theirs))
        .spawn()
        .unwrap();
    let input = file_with(&vec![b'y'; 500_000]);
    let output = file_with(b"");
    let mut relay = Relay::default();
    relay
        .add_input(&input, ours.try_clone().unwrap().into())
        .unwrap();
    relay.add_output(ours.into(), &output).unwrap();
    run(&mut relay);
    child.wait().unwrap();
    assert_eq!(content_of(output).len(), 500_000);
}

#[test]
fn null_devices_do_not_stop_the_loop() {
    let null = File::options()
        .read(true)
        .write(true)
        .open("/dev/null")
        .unwrap();
    let mut child = Command::new("sh")
        .args(["-c", "cat; echo done"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut relay = Relay::default();
    relay
        .add_input(&null, child.stdin.take().unwrap().into())
        .unwrap();
    relay
        .add_output(child.stdout.take().unwrap().into(), &null)
        .unwrap();
    run(&mut relay);
    child.wait().unwrap();
}

#[test]
fn a_process_left_behind_does_not_hold_up_the_end_and_a_slow_user_still_gets_it_all() {
    let mut child = Command::new("sh")
        .args(["-c", "seq 20000; sleep 600 & echo $!"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut relay = Relay::default();
    relay
        .add_output(child.stdout.take().unwrap().into(), &writer)
        .unwrap();
    drop(writer);
    while child.try_wait().unwrap().is_none() {
        relay.pump().unwrap();
        // So that it can end: the user takes a little.
        if relay.pending() > 0 {
            let mut line = [0; 10_000];
            let length = reader.read(&mut line).unwrap();
            assert!(length > 0);
        }
    }
    relay.end_output();
    let slow = std::thread::spawn(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text
    });
    run(&mut relay);
    drop(relay);
    let text = slow.join().unwrap();
    let sleeper: i32 = text.lines().last().unwrap().parse().unwrap();
    let sleeper = rustix::process::Pid::from_raw(sleeper).unwrap();
    rustix::process::kill_process(sleeper, rustix::process::Signal::KILL).unwrap();
    assert!(text.contains("20000\n"));
}

#[test]
fn who_writes_without_end_does_not_keep_the_loop() {
    let mut child = Command::new("yes").stdout(Stdio::piped()).spawn().unwrap();
    let null = File::options().write(true).open("/dev/null").unwrap();
    let mut relay = Relay::default();
    relay
        .add_output(child.stdout.take().unwrap().into(), &null)
        .unwrap();
    // Each call returns, and so does the end.
    for _ in 0..10 {
        assert_ne!(relay.pump().unwrap(), Progress::Done);
    }
    relay.end_output();
    run(&mut relay);
    drop(relay);
    assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGPIPE));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn bytes_arrive_in_order_whatever_the_sizes(
        content in proptest::collection::vec(any::<u8>(), 0..60_000),
        reads in proptest::collection::vec(1_usize..20_000, 1..8),
    ) {
        let (from, mut source) = std::io::pipe().unwrap();
        let (mut sink, to) = std::io::pipe().unwrap();
        let mut relay = Relay::default();
        relay.add_output(from.into(), &to).unwrap();
        drop(to);
        let sender = std::thread::spawn({
            let content = content.clone();
            move || source.write_all(&content).unwrap()
        });
        let receiver = std::thread::spawn(move || {
            let mut all = Vec::new();
            for size in reads.into_iter().cycle() {
                let mut piece = vec![0; size];
                match sink.read(&mut piece).unwrap() {
                    0 => break,
                    length => all.extend_from_slice(&piece[..length]),
                }
            }
            all
        });
        run(&mut relay);
        drop(relay);
        sender.join().unwrap();
        prop_assert_eq!(receiver.join().unwrap(), content);
    }
}
