//! The binary `coop`: all of it is in the library.

fn main() -> std::process::ExitCode {
    coop::main()
}
