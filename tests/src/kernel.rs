//! Which kernel this is.

/// Whether it is older than Linux `major`.`minor`.
///
/// # Panics
/// When its release does not begin with two numbers.
pub fn is_kernel_before(major: u32, minor: u32) -> bool {
    let uname = rustix::system::uname();
    let release = uname.release().to_string_lossy();
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(|number| number.parse().expect("a kernel's release"));
    let version: (u32, u32) = (
        numbers.next().expect("a major version"),
        numbers.next().expect("a minor version"),
    );
    version < (major, minor)
}
