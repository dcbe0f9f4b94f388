//! Private parsers of this crate for its fuzz tests, in the package `coop-fuzz`. They panic
//! when a promise is broken.

use crate::store::ProcStat;
use crate::terminal::DetachKeys;
use crate::terminal::keys::KeyFilter;

/// `/proc/PID/stat`, of which the program in it chooses a part.
pub fn proc_stat(data: &[u8]) {
    if let Some(stat) = ProcStat::parse(data) {
        stat.exit_status();
    }
}

/// Detach keys (the first line) in what is typed (the rest), which comes in pieces of `piece`
/// bytes: nothing that is typed before the keys is lost, and where the pieces end is no matter.
pub fn detach_keys(data: &[u8]) {
    let Some(at) = data.iter().position(|&byte| byte == b'\n') else {
        return;
    };
    let (keys, typed) = (String::from_utf8_lossy(&data[..at]), &data[at + 1..]);
    let Ok(keys) = keys.parse::<DetachKeys>() else {
        return;
    };
    assert_eq!(keys.to_string().parse().as_ref(), Ok(&keys));
    let passed = |piece: usize| {
        let mut filter = KeyFilter::new(keys.clone());
        let mut passed = Vec::new();
        for piece in typed.chunks(piece) {
            let mut piece = piece.to_vec();
            let left = filter.filter(&mut piece);
            passed.extend(piece);
            if left {
                return (passed, true);
            }
        }
        passed.extend(filter.rest());
        (passed, false)
    };
    let whole = passed(typed.len().max(1));
    assert_eq!(passed(1), whole);
    assert_eq!(passed(3), whole);
    if whole.1 {
        assert!(typed.starts_with(&whole.0));
    } else {
        assert_eq!(whole.0, typed);
    }
}
