//! The fuzz targets as a program.
//!
//! Built by `cargo xtask fuzz` it is libFuzzer, and the variable [`TARGET`](coop_fuzz::TARGET)
//! names the target. In an ordinary build it runs a target over files: `coop-fuzz TARGET FILE…`.

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
mod fuzzer {
    use std::sync::OnceLock;

    use coop_fuzz::{TARGET, Target, find};

    static CHOSEN: OnceLock<&'static Target> = OnceLock::new();

    libfuzzer_sys::fuzz_target!(
        init: {
            let name = std::env::var(TARGET).unwrap_or_default();
            let target = find(&name).unwrap_or_else(|| panic!("{TARGET}: no target {name:?}"));
            CHOSEN.get_or_init(|| target);
        },
        |data: &[u8]| if let Some(target) = CHOSEN.get() { (target.run)(data) }
    );
}

#[cfg(not(fuzzing))]
fn main() -> std::process::ExitCode {
    use coop_fuzz::{TARGETS, find};
    use std::process::ExitCode;

    let mut words = std::env::args_os().skip(1);
    let Some(name) = words.next() else {
        for target in TARGETS {
            println!("{}\t{}", target.name, target.about);
        }
        return ExitCode::SUCCESS;
    };
    let Some(target) = name.to_str().and_then(find) else {
        eprintln!("coop-fuzz: no target {}", name.display());
        return ExitCode::FAILURE;
    };
    for file in words {
        match std::fs::read(&file) {
            Ok(data) => (target.run)(&data),
            Err(error) => {
                eprintln!("coop-fuzz: read {}: {error}", file.display());
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
