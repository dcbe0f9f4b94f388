//! An error as a sentence.

use coop_launcher::logs::{Stream, colours_wanted};

use rustix::io::Errno;

use super::stream::{descriptor, write_all};

/// Tells the user what failed and why, on standard error.
pub(crate) fn error(error: &anyhow::Error) {
    let to = descriptor(Stream::Stderr);
    let word = if colours_wanted(to) {
        "\x1b[1;31merror:\x1b[0m"
    } else {
        "error:"
    };
    let mut texts: Vec<_> = error.chain().map(ToString::to_string).collect();
    if error
        .chain()
        .any(|cause| cause.downcast_ref() == Some(&Errno::NOSYS))
    {
        let release = rustix::system::uname()
            .release()
            .to_string_lossy()
            .into_owned();
        texts.splice(0..0, too_old(&release));
    }
    // When nobody hears it, there is nobody to tell that either.
    let _ = write_all(to, format!("{word} {}\n", sentence(&texts)).as_bytes());
}

/// The oldest kernel that has every system call without which there is no container.
pub(crate) const OLDEST_KERNEL: (u32, u32) = (5, 12);

/// What may be done about a system call that is missing on a kernel of this release.
fn too_old(release: &str) -> Option<String> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    let mut number = || numbers.next()?.parse::<u32>().ok();
    let version = (number()?, number()?);
    let (major, minor) = OLDEST_KERNEL;
    (version < OLDEST_KERNEL).then(|| {
        format!("  help: this is Linux {release}, and Coop needs {major}.{minor} or newer")
    })
}

/// The chain of an error, the cause last, as one sentence. Indented lines (notes, the line of
/// the stack file, help) stay below it: the cause's own first.
fn sentence(texts: &[String]) -> String {
    let Some((cause, contexts)) = texts.split_last() else {
        return String::new();
    };
    let mut sentence = String::new();
    let mut below = String::new();
    for context in contexts {
        for line in context.lines() {
            if line.starts_with("  ") {
                below.push('\n');
                below.push_str(line);
            } else {
                sentence.push_str(line);
                sentence.push_str(": ");
            }
        }
    }
    sentence + cause.trim_end() + &below
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(texts: &[&str]) -> String {
        sentence(&texts.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn a_chain_is_one_sentence_down_to_the_kernels_word() {
        insta::assert_snapshot!(
            shown(&["web", "mount /proc", "Operation not permitted (os error 1)"]),
            @"web: mount /proc: Operation not permitted (os error 1)"
        );
    }

    #[test]
    fn only_a_kernel_that_is_too_old_is_called_so() {
        for release in ["5.10.0-32-cloud-amd64", "4.19.0"] {
            let help = too_old(release).unwrap();
            assert!(help.contains(release) && help.contains("5.12"), "{help}");
        }
        for release in ["5.12.0", "5.15.0-generic", "6.1.0", "unknown"] {
            assert_eq!(too_old(release), None, "{release}");
        }
        let error = anyhow::Error::new(Errno::NOSYS).context("mount");
        assert!(
            error
                .chain()
                .any(|it| it.downcast_ref() == Some(&Errno::NOSYS))
        );
    }

    #[test]
    fn help_comes_last_wherever_it_was_given() {
        insta::assert_snapshot!(
            shown(&["cannot bring web up\n  help: run it with sudo", "permission denied"]),
            @r"
        cannot bring web up: permission denied
          help: run it with sudo
        "
        );
    }

    #[test]
    fn a_diagnostic_keeps_its_shape() {
        insta::assert_snapshot!(
            shown(&["web: no such key\n  in stack.yaml:3:5\n     |\n   3 |     imag: x\n  help: image\n\nerror: db: and another\n  in stack.yaml:9:5"]),
            @r"
        web: no such key
          in stack.yaml:3:5
             |
           3 |     imag: x
          help: image

        error: db: and another
          in stack.yaml:9:5
        "
        );
    }
}
