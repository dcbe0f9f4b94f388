//! Makes system calls by number, and prints how each ended: for what a filter refuses.
//!
//! ```text
//! calls 165 41:38:5:0          mount(0, 0, …), then socket(38, 5, 0)
//! calls thread 165             the same in a thread that is not the first
//! ```
//!
//! One line a call: `0` when it succeeded, else the error's number.

use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let ended = match words.split_first() {
        Some((first, rest)) if first == "thread" => {
            let rest = rest.to_vec();
            std::thread::spawn(move || call_all(&rest)).join().ok()
        }
        _ => Some(call_all(&words)),
    };
    if ended == Some(Some(())) {
        return ExitCode::SUCCESS;
    }
    eprintln!("usage: calls [thread] NUMBER[:ARGUMENT]...");
    ExitCode::FAILURE
}

fn call_all(words: &[String]) -> Option<()> {
    for word in words {
        let mut numbers = word.split(':').map(str::parse::<libc::c_long>);
        let number = numbers.next()?.ok()?;
        let mut arguments = [0; 6];
        for (argument, given) in arguments.iter_mut().zip(numbers) {
            *argument = given.ok()?;
        }
        // SAFETY: the tests give numbers and flags alone: no argument is a pointer, or it is 0,
        // so the kernel touches no memory of this process.
        let result = unsafe {
            libc::syscall(
                number,
                arguments[0],
                arguments[1],
                arguments[2],
                arguments[3],
                arguments[4],
                arguments[5],
            )
        };
        let error = std::io::Error::last_os_error().raw_os_error();
        println!("{}", if result < 0 { error? } else { 0 });
    }
    Some(())
}
