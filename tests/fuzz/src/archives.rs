//! Archives of strangers, unpacked. Whatever is in them, nothing outside changes.
//!
//! Checksums and magic numbers are put right first: bytes that change at random would get no
//! further than to them.

use std::fs;
use std::os::unix::fs::symlink;

use coop_fs::archive::{Owner, Target, Tree, unpack};
use coop_image::{ImportOptions, Limits, Store};
use flate2::Crc;

use crate::scratch::Scratch;

const BLOCK: usize = 512;

/// An import of a tar archive.
pub(crate) fn image_tar(data: &[u8]) {
    import(&with_tar_checksums(data));
}

/// An import of a squashfs.
pub(crate) fn image_squashfs(data: &[u8]) {
    let mut disk = data.to_vec();
    if disk.len() < 96 {
        return;
    }
    let length = disk.len() as u64;
    disk[..4].copy_from_slice(b"hsqs");
    disk[28..32].copy_from_slice(&[4, 0, 0, 0]);
    // Bytes that are used: not more than there are.
    disk[40..48].copy_from_slice(&length.to_le_bytes());
    import(&disk);
}

/// An import of something compressed; the first byte says how.
pub(crate) fn image_packed(data: &[u8]) {
    let Some((how, rest)) = data.split_first() else {
        return;
    };
    let mut packed = rest.to_vec();
    let magic: &[u8] = match how % 3 {
        0 => b"\x1f\x8b\x08",
        1 => b"\x28\xb5\x2f\xfd",
        _ => b"\xfd7zXZ\0",
    };
    if packed.len() < 32 {
        return;
    }
    packed[..magic.len()].copy_from_slice(magic);
    if how % 3 == 2 {
        mend_xz(&mut packed);
    }
    import(&packed);
}

/// What `cp` unpacks on the host, below a directory in which a link leads outside.
pub(crate) fn copied_tar(data: &[u8]) {
    let scratch = Scratch::new();
    let inside = scratch.inside();
    symlink("../outside", inside.join("link")).expect("make a link");
    symlink("../outside/secret", inside.join("file-link")).expect("make a link");
    let tree = Tree::of_host().expect("open the root");
    let target = Target::new(&inside.to_string_lossy());
    let archive = with_tar_checksums(data);
    // The user named what is copied: a name of one part, or the contents of a directory.
    for name in [None, Some("copy".as_ref())] {
        let place = &mut |what| target.place(&tree, name, what);
        drop(unpack(&tree, archive.as_slice(), Owner::Caller, place));
        scratch.check();
    }
}

fn import(source: &[u8]) {
    let scratch = Scratch::new();
    let inside = scratch.inside();
    let file = inside.join("source");
    fs::write(&file, source).expect("write the source");
    let store = Store::open(inside.join("store"));
    let options = ImportOptions {
        limits: Limits {
            bytes: 4 << 20,
            entries: 500,
        },
        ..ImportOptions::default()
    };
    let name = "fuzz:1".parse().expect("a reference");
    match store.import(&name, &file, &options, &mut |_| {}) {
        Ok(image) => {
            assert!(image.size <= options.limits.bytes, "{}", image.size);
            assert_eq!(store.get(&name).expect("it is there").id, image.id);
        }
        Err(error) => {
            drop(error.to_string());
            assert!(store.list().is_ok_and(|images| images.is_empty()));
        }
    }
    scratch.check();
}

/// With the checksums of all headers of `tar(5)` put right.
fn with_tar_checksums(data: &[u8]) -> Vec<u8> {
    let mut archive = data.to_vec();
    let (headers, _) = archive.as_chunks_mut::<BLOCK>();
    for header in headers {
        if &header[257..262] == b"ustar" {
            header[148..156].fill(b' ');
            let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
            header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
    archive
}

/// Puts the checksums of the stream's and of the first block's header right: see the
/// [format](https://tukaani.org/xz/xz-file-format.txt), 2.1.1 and 3.1.
fn mend_xz(stream: &mut [u8]) {
    let crc = |bytes: &[u8]| {
        let mut crc = Crc::new();
        crc.update(bytes);
        crc.sum().to_le_bytes()
    };
    let flags = crc(&stream[6..8]);
    stream[8..12].copy_from_slice(&flags);
    let length = (usize::from(stream[12]) + 1) * 4;
    if let Some(header) = stream.get_mut(12..12 + length) {
        let (content, sum) = header.split_at_mut(length - 4);
        sum.copy_from_slice(&crc(content));
    }
}
