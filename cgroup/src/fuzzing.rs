//! Private parsers of this crate for its fuzz tests, in the package `coop-fuzz`.

use crate::{mountinfo, stats};

/// The kernel's text files about control groups. Names of mount points and of groups in them
/// are other people's choice.
pub fn kernel_text(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    mountinfo::parse(&text);
    mountinfo::own_position(&text, None);
    stats::keyed(&text, "user_usec");
    stats::pressure(&text);
    stats::io_stat(&text);
    stats::blkio(&text, "Read");
}
