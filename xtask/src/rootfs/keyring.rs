//! Public keys as text, made the binary keyring that gpgv reads.

use anyhow::{Result, bail};

const BEGIN: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
const END: &str = "-----END PGP PUBLIC KEY BLOCK-----";

/// The keys of one or more blocks of ASCII armour (RFC 9580, 6.2) behind one another; keys in
/// binary form stay as they are.
///
/// # Errors
/// When it is neither.
pub(crate) fn binary(bytes: Vec<u8>) -> Result<Vec<u8>> {
    // The first byte of a packet has its highest bit set.
    if bytes.first().is_some_and(|byte| byte & 0x80 != 0) {
        return Ok(bytes);
    }
    let text = String::from_utf8_lossy(&bytes);
    let mut keys = Vec::new();
    for block in text.split(BEGIN).skip(1) {
        let Some((block, _)) = block.split_once(END) else {
            bail!("a block of keys without an end");
        };
        let headers = |line: &&str| line.contains(": ") || line.is_empty();
        let data: String = block
            .lines()
            .map(str::trim)
            .skip_while(headers)
            // The checksum of the block.
            .take_while(|line| !line.starts_with('='))
            .collect();
        keys.extend(base64(&data)?);
    }
    if keys.is_empty() {
        bail!("there are no keys in it");
    }
    Ok(keys)
}

fn base64(text: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0u32, 0);
    for c in text.trim_end_matches('=').bytes() {
        let value = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => bail!("a block of keys that is not base64"),
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_become_bytes() {
        let one = format!("{BEGIN}\nVersion: X 1\n\n/wABAgME\nBQ==\n=abcd\n{END}\n");
        assert_eq!(binary(one.clone().into()).unwrap(), [255, 0, 1, 2, 3, 4, 5]);
        let two = format!("about it\n{one}and\n{one}");
        assert_eq!(binary(two.into()).unwrap().len(), 14);
        assert_eq!(binary(vec![0x99, 1]).unwrap(), [0x99, 1]);
    }

    #[test]
    fn what_has_no_keys_is_refused() {
        let cut = format!("{BEGIN}\n\n/wAB");
        let odd = format!("{BEGIN}\n\n<html>\n{END}");
        for bad in ["", "<html></html>", &cut, &odd] {
            assert!(binary(bad.into()).is_err(), "{bad}");
        }
    }
}
