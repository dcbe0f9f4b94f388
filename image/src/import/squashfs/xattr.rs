//! Extended attributes.

use std::ffi::CString;

use super::disk::{Cursor, Disk, NONE, corrupt};
use crate::error::UnpackError;
use crate::tree::kept_xattr;

/// `XATTR_SIZE_MAX` of Linux.
const MAX_VALUE: usize = 64 << 10;
/// More than a list of names (`XATTR_LIST_MAX`, 64 KiB) can hold.
const MAX_COUNT: u32 = 32 << 10;
/// The value is a reference to a value that several files share.
const ELSEWHERE: u16 = 0x100;

/// The attributes with an index of the table that an image keeps, sorted by name.
pub(super) fn read(disk: &Disk<'_>, index: u32) -> Result<Vec<(CString, Vec<u8>)>, UnpackError> {
    let table = disk.superblock.xattr_table;
    if index == NONE || table == u64::MAX {
        return Ok(Vec::new());
    }
    let values = u64::from_le_bytes(disk.plain(table)?);
    let beyond = || corrupt("an attribute table beyond the end of the file");
    let count = u32::from_le_bytes(disk.plain(table.checked_add(8).ok_or_else(beyond)?)?);
    if index >= count {
        return Err(corrupt("attributes that are not in the table"));
    }
    let list = table.checked_add(16).ok_or_else(beyond)?;
    let mut entry = disk.table_entry(list, index, 16)?;
    let (reference, count) = (entry.u64()?, entry.u32()?);
    if count > MAX_COUNT {
        return Err(corrupt("a file with too many attributes"));
    }
    let mut at = disk.follow(values, reference)?;
    let mut xattrs = Vec::new();
    for _ in 0..count {
        let (kind, length) = (at.u16()?, at.u16()?);
        let prefix: &[u8] = match kind & 0xff {
            0 => b"user.",
            1 => b"trusted.",
            2 => b"security.",
            _ => return Err(corrupt("an attribute of an unknown kind")),
        };
        let name = [prefix, &at.bytes(usize::from(length))?].concat();
        let mut value = self::value(&mut at)?;
        if kind & ELSEWHERE != 0 {
            let reference: [u8; 8] = value
                .try_into()
                .map_err(|_| corrupt("a bad reference to an attribute"))?;
            value = self::value(&mut disk.follow(values, u64::from_le_bytes(reference))?)?;
        }
        if kept_xattr(&name)
            && let Ok(name) = CString::new(name)
        {
            xattrs.push((name, value));
        }
    }
    xattrs.sort();
    Ok(xattrs)
}

fn value(at: &mut Cursor<'_>) -> Result<Vec<u8>, UnpackError> {
    let length = at.u32()? as usize;
    if length > MAX_VALUE {
        return Err(corrupt("an attribute with too large a value"));
    }
    at.bytes(length)
}
