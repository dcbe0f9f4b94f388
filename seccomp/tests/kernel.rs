//! Filters in the kernel of this machine.
//!
//! A filter is the matter of one thread, and so is `no_new_privs`: each test loads what it needs
//! in a thread of its own, without root. What kills is loaded in a child.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Read;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::sync::mpsc;
use std::thread;

use coop_seccomp::{
    Action, Answer, Arch, Call, Condition, Flags, Listener, LoadError, Policy, Program, Rule,
    action_available, mode,
};
use rustix::io::{Errno, FdFlags};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities, set_no_new_privs};

fn number(name: &str) -> libc::c_long {
    Arch::native().number_of(name).unwrap().into()
}

/// Makes a call by its number, as the filter sees it.
fn call(name: &str, arguments: [u64; 2]) -> Result<i64, Errno> {
    // SAFETY: the calls that tests make take numbers only, or fail before they take anything.
    let result = unsafe { libc::syscall(number(name), arguments[0], arguments[1]) };
    match result {
        -1 => Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap()),
        value => Ok(value),
    }
}

fn compiled(rules: Vec<Rule>) -> Program {
    let mut policy = Policy::new(Action::Allow);
    policy.rules = rules;
    policy.compile(Arch::native()).unwrap()
}

/// Runs in a thread that the filter is for.
fn under<T: Send + 'static>(program: Program, work: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = thread::spawn(move || {
        set_no_new_privs(true).unwrap();
        program.load(Flags::empty()).unwrap();
        work()
    });
    thread.join().unwrap()
}

#[test]
fn a_call_fails_with_the_error_that_its_rule_says() {
    let program = compiled(vec![
        Rule::new(["getppid"], Action::Errno(126)),
        Rule::new(["personality"], Action::Errno(1)).when(Condition::equal(0, 0xdead_beef)),
    ]);
    let (refused, other, filtered) = under(program, || {
        let query = call("personality", [0xffff_ffff, 0]);
        (
            [
                call("getppid", [0; 2]),
                call("personality", [0xdead_beef, 0]),
            ],
            query,
            mode().unwrap().to_string(),
        )
    });
    assert_eq!(refused, [Err(Errno::NOKEY), Err(Errno::PERM)]);
    assert!(other.is_ok());
    assert_eq!(filtered, "filter");
    assert!(call("getppid", [0; 2]).is_ok(), "this thread is spared");
}

/// Both halves of an argument are compared.
#[test]
fn the_kernel_and_the_simulator_agree_about_arguments() {
    // `setpriority` of a kind that does not exist: it fails with EINVAL where it is let through.
    let rules = vec![
        Rule::new(["setpriority"], Action::Errno(100)).when(Condition::new(
            1,
            coop_seccomp::Comparison::Gt,
            0x5_0000_0005,
        )),
        Rule::new(["setpriority"], Action::Errno(101)).when(Condition::equal(1, 0x5_0000_0005)),
        Rule::new(["setpriority"], Action::Errno(102)).when(Condition::no_bits(1, 0x7_0000_0007)),
    ];
    let values = [
        0,
        5,
        8,
        0x5_0000_0004,
        0x5_0000_0005,
        0x5_0000_0006,
        0x6_0000_0000,
        0x4_ffff_ffff,
        0x8_0000_0000,
        u64::MAX,
    ];
    let program = compiled(rules);
    let expected = values.map(|value| {
        let call = Call::new(Arch::native(), number("setpriority") as u32);
        match program.run(&call.with([99, value, 0, 0, 0, 0])).action() {
            Action::Errno(errno) => errno.into(),
            _ => Errno::INVAL.raw_os_error(),
        }
    });
    let got = under(program, move || {
        values.map(|value| call("setpriority", [99, value]).unwrap_err().raw_os_error())
    });
    assert_eq!(got, expected);
}

#[test]
fn a_killed_process_ends_by_sigsys() {
    let program = compiled(vec![Rule::new(["getppid"], Action::KillProcess)]);
    // SAFETY: the child makes system calls only, on memory that is there already.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let ready = set_no_new_privs(true).is_ok() && program.load(Flags::empty()).is_ok();
        let _ = call("getppid", [0; 2]);
        // SAFETY: ends this process, if it is still there.
        unsafe { libc::_exit(if ready { 1 } else { 2 }) }
    }
    let mut status = 0;
    // SAFETY: `status` is what the call writes.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert!(libc::WIFSIGNALED(status), "status {status:#x}");
    assert_eq!(libc::WTERMSIG(status), libc::SIGSYS);
}

/// The 32-bit way into a 64-bit kernel is no way round the filter.
#[test]
#[cfg(target_arch = "x86_64")]
fn x32_numbers_are_foreign() {
    let mut policy = Policy::new(Action::Allow);
    policy.foreign = Action::Errno(126);
    let program = policy.compile(Arch::X86_64).unwrap();
    let got = under(program, || {
        // SAFETY: getpid takes nothing.
        let x32 = unsafe { libc::syscall(libc::SYS_getpid | 0x4000_0000) };
        (x32, std::io::Error::last_os_error().raw_os_error())
    });
    assert_eq!(got, (-1, Some(126)));
}

#[test]
fn a_long_program_is_taken() {
    // Far more than a jump reaches.
    let mut policy = Policy::new(Action::Allow);
    for value in 0..1000 {
        let rule = Rule::new(["getppid"], Action::Errno(value as u16 % 100 + 1));
        policy.rules.push(rule.when(Condition::equal(0, value * 2)));
    }
    let program = policy.compile(Arch::native()).unwrap();
    assert!(program.instructions().len() > 1000);
    let got = under(program, || {
        [call("getppid", [1998, 0]), call("getppid", [1996, 0])]
    });
    assert_eq!(got.map(|r| r.unwrap_err().raw_os_error()), [100, 99]);
}

#[test]
fn without_no_new_privs_only_the_privileged_may_load() {
    let program = compiled(Vec::new());
    let loaded = thread::spawn(move || {
        // They are this thread's; an ordinary user has none to begin with.
        let none = CapabilitySets {
            effective: CapabilitySet::empty(),
            permitted: CapabilitySet::empty(),
            inheritable: CapabilitySet::empty(),
        };
        set_capabilities(None, none).unwrap();
        program.load(Flags::empty())
    });
    let error = loaded.join().unwrap().unwrap_err();
    assert!(matches!(error, LoadError::NotPermitted(_)), "{error:?}");
}

#[test]
fn a_flag_that_the_kernel_does_not_know_is_told() {
    let program = compiled(Vec::new());
    let flags = Flags::from_bits_retain(1 << 30);
    let loaded = thread::spawn(move || {
        set_no_new_privs(true).unwrap();
        program.load(flags)
    });
    let error = loaded.join().unwrap().unwrap_err();
    assert!(matches!(error, LoadError::Unsupported { .. }), "{error:?}");
}

/// A profile may ask for it that notifies nobody.
#[test]
fn a_flag_about_listeners_means_nothing_without_one() {
    let program = compiled(vec![Rule::new(["getppid"], Action::Errno(126))]);
    let refused = thread::spawn(move || {
        set_no_new_privs(true).unwrap();
        program.load(Flags::WAIT_KILLABLE_RECV).unwrap();
        call("getppid", [0; 2])
    });
    assert_eq!(refused.join().unwrap(), Err(Errno::NOKEY));
}

#[test]
fn the_kernel_knows_all_actions() {
    for action in [
        Action::Allow,
        Action::Errno(7),
        Action::Trace(7),
        Action::Log,
        Action::KillThread,
        Action::KillProcess,
        Action::Trap,
        Action::Notify,
    ] {
        assert_eq!(action_available(action), Ok(true), "{action}");
    }
}

/// A thread that makes one call each time it is asked, under a filter that notifies.
struct Asked {
    listener: Listener,
    ask: mpsc::Sender<()>,
    results: mpsc::Receiver<Result<i64, Errno>>,
}

fn asked() -> Asked {
    let (ask, asks) = mpsc::channel();
    let (results_in, results) = mpsc::channel();
    let (listener_in, listener) = mpsc::channel();
    thread::spawn(move || {
        let program = compiled(vec![Rule::new(["getppid"], Action::Notify)]);
        set_no_new_privs(true).unwrap();
        listener_in
            .send(program.load_with_listener(Flags::empty()).unwrap())
            .unwrap();
        for () in asks {
            results_in.send(call("getppid", [7, 8])).unwrap();
        }
    });
    Asked {
        listener: listener.recv().unwrap(),
        ask,
        results,
    }
}

#[test]
fn a_listener_decides() {
    let asked = asked();
    for (answer, expected) in [
        (Answer::Value(4711), Ok(4711)),
        (Answer::Errno(Errno::NOKEY), Err(Errno::NOKEY)),
        (Answer::Continue, call("getppid", [0; 2])),
    ] {
        asked.ask.send(()).unwrap();
        let notification = asked.listener.receive().unwrap().unwrap();
        assert_eq!(i64::from(notification.call.number), number("getppid"));
        assert_eq!(notification.call.arch(), Some(Arch::native()));
        assert_eq!(notification.call.arguments[..2], [7, 8]);
        assert!(notification.thread.is_some());
        assert!(asked.listener.is_waiting(notification.id).unwrap());
        assert!(asked.listener.answer(notification.id, answer).unwrap());
        assert_eq!(asked.results.recv().unwrap(), expected);
        assert!(!asked.listener.is_waiting(notification.id).unwrap());
        assert!(!asked.listener.answer(notification.id, answer).unwrap());
    }
}

#[test]
fn a_listener_puts_descriptors_in() {
    let asked = asked();
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    rustix::io::write(&writer, b"hello").unwrap();
    drop(writer);
    asked.ask.send(()).unwrap();
    let id = asked.listener.receive().unwrap().unwrap().id;
    // It is the same process here, so what is put in can be seen.
    let kept = asked
        .listener
        .add_fd(id, reader.as_fd(), None, FdFlags::CLOEXEC)
        .unwrap();
    let answered = asked
        .listener
        .answer_with_fd(id, reader.as_fd(), FdFlags::empty())
        .unwrap();
    assert_eq!(asked.results.recv().unwrap(), Ok(answered.into()));
    // SAFETY: both descriptors were made for this process, which has no other owner of them.
    let [kept, answered] = [kept, answered].map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
    assert_eq!(rustix::io::fcntl_getfd(&kept).unwrap(), FdFlags::CLOEXEC);
    assert_eq!(
        rustix::io::fcntl_getfd(&answered).unwrap(),
        FdFlags::empty()
    );
    let mut text = String::new();
    std::fs::File::from(answered)
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(text, "hello");
}

#[test]
fn there_is_one_listener() {
    let error = thread::spawn(|| {
        set_no_new_privs(true).unwrap();
        let program = compiled(vec![Rule::new(["getppid"], Action::Notify)]);
        let _first = program.load_with_listener(Flags::empty()).unwrap();
        program.load_with_listener(Flags::empty()).unwrap_err()
    });
    assert!(matches!(
        error.join().unwrap(),
        LoadError::SecondListener(_)
    ));
}
