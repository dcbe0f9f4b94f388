use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use super::*;

/// Copies `source` of one tree to `target` of another, as `cp` does it.
fn copy(from: &Path, source: &Source, to: &Path, target: &str) -> Result<Unpacked, ArchiveError> {
    let mut stream = Vec::new();
    pack(&Tree::below(from), source, &mut stream)?;
    let tree = Tree::below(to);
    unpack(&tree, stream.as_slice(), Owner::Archived, &mut |kind| {
        Target::new(target).place(&tree, source.name(), kind)
    })
}

fn trees() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let temp = tempfile::tempdir().unwrap();
    let (from, to) = (temp.path().join("from"), temp.path().join("to"));
    fs::create_dir_all(from.join("dir/sub")).unwrap();
    fs::create_dir_all(to.join("existing")).unwrap();
    fs::write(from.join("dir/sub/file"), "content").unwrap();
    fs::write(to.join("old"), "old").unwrap();
    (temp, from, to)
}

#[test]
fn a_directory_goes_into_an_existing_one_and_becomes_a_new_one() {
    let (_temp, from, to) = trees();
    let source = Source::new("/dir");
    copy(&from, &source, &to, "/existing").unwrap();
    copy(&from, &source, &to, "/new").unwrap();
    copy(&from, &Source::new("dir/."), &to, "/existing").unwrap();
    for file in ["existing/dir/sub/file", "new/sub/file", "existing/sub/file"] {
        assert_eq!(
            fs::read_to_string(to.join(file)).unwrap(),
            "content",
            "{file}"
        );
    }
}

#[test]
fn a_file_takes_the_name_that_it_is_given() {
    let (_temp, from, to) = trees();
    let source = Source::new("dir/sub/file");
    copy(&from, &source, &to, "existing/").unwrap();
    copy(&from, &source, &to, "old").unwrap();
    copy(&from, &source, &to, "new").unwrap();
    for file in ["existing/file", "old", "new"] {
        assert_eq!(
            fs::read_to_string(to.join(file)).unwrap(),
            "content",
            "{file}"
        );
    }
}

#[test]
fn what_cannot_be_is_said() {
    let (_temp, from, to) = trees();
    let failure = |source: &str, target: &str| {
        copy(&from, &Source::new(source), &to, target)
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        failure("dir", "old"),
        "cannot copy a directory to /old, which is a file"
    );
    assert_eq!(
        failure("dir/sub/file", "new/"),
        "the destination directory /new does not exist"
    );
    assert_eq!(failure("dir/sub/file", "old/"), "/old is not a directory");
    assert_eq!(
        failure("dir/sub/file/", "new"),
        "/dir/sub/file is not a directory"
    );
    assert_eq!(failure("none", "new"), "no such file or directory: /none");
    assert_eq!(
        failure("dir", "none/deep"),
        "the destination directory /none does not exist"
    );
    fs::create_dir_all(to.join("existing/file")).unwrap();
    assert_eq!(
        failure("dir/sub/file", "existing"),
        "cannot overwrite /existing/file with a file"
    );
}

#[test]
fn links_modes_and_times_are_kept() {
    let (_temp, from, to) = trees();
    let long = "x/".repeat(100) + "end";
    symlink("/etc/passwd", from.join("dir/link")).unwrap();
    symlink(&long, from.join("dir/long")).unwrap();
    fs::hard_link(from.join("dir/sub/file"), from.join("dir/twin")).unwrap();
    fs::set_permissions(from.join("dir/sub"), fs::Permissions::from_mode(0o500)).unwrap();
    rustix::fs::mknodat(CWD, from.join("dir/pipe"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    copy(&from, &Source::new("dir"), &to, "new").unwrap();
    let new = to.join("new");
    assert_eq!(
        fs::read_link(new.join("link")).unwrap(),
        Path::new("/etc/passwd")
    );
    assert_eq!(fs::read_link(new.join("long")).unwrap(), Path::new(&long));
    let (one, two) = (new.join("twin"), new.join("sub/file"));
    assert_eq!(one.metadata().unwrap().ino(), two.metadata().unwrap().ino());
    let mode = new.join("sub").metadata().unwrap().mode();
    assert_eq!(mode & 0o7777, 0o500);
    let time = |path: &Path| path.metadata().unwrap().mtime();
    assert_eq!(time(&new.join("sub")), time(&from.join("dir/sub")));
    assert_eq!(new.join("pipe").metadata().unwrap().mode() & 0o7777, 0o400);
    fs::set_permissions(from.join("dir/sub"), fs::Permissions::from_mode(0o700)).unwrap();
    fs::set_permissions(new.join("sub"), fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn a_link_leads_nowhere_but_into_its_root() {
    let (temp, from, to) = trees();
    fs::write(temp.path().join("secret"), "secret").unwrap();
    let outside = temp.path().join("secret");
    symlink(&outside, from.join("absolute")).unwrap();
    symlink("../secret", from.join("relative")).unwrap();
    for link in ["absolute", "relative"] {
        let error = copy(&from, &Source::followed(link), &to, "new").unwrap_err();
        assert!(matches!(error, ArchiveError::NotFound { .. }), "{error}");
    }
    // Written to: the file is made where the link leads to inside of the root.
    symlink("/../../secret", to.join("out")).unwrap();
    copy(&from, &Source::new("dir/sub/file"), &to, "out").unwrap();
    assert_eq!(fs::read_to_string(&outside).unwrap(), "secret");
    assert_eq!(fs::read_to_string(to.join("secret")).unwrap(), "content");
    // A file replaces a link in a directory that is merged.
    symlink(&outside, to.join("existing/file")).unwrap();
    copy(&from, &Source::new("dir/sub/."), &to, "existing").unwrap();
    assert_eq!(fs::read_to_string(&outside).unwrap(), "secret");
}

fn archive(entries: &[(&str, tar::EntryType, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, kind, text) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(0o755);
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        if *kind == tar::EntryType::Regular {
            header.set_size(text.len() as u64);
            header.set_cksum();
            builder.append(&header, text.as_bytes()).unwrap();
        } else {
            header.set_size(0);
            header.set_link_name_literal(text).unwrap();
            header.set_cksum();
            builder.append(&header, std::io::empty()).unwrap();
        }
    }
    builder.into_inner().unwrap()
}

#[test]
fn a_hostile_archive_stays_in_the_directory() {
    use tar::EntryType::{Char, Directory, Link, Regular, Symlink};
    let (temp, _from, to) = trees();
    let host = Tree::of_host().unwrap();
    let target = to.join("existing");
    let into = |entries: &[(&str, tar::EntryType, &str)]| {
        let target = Target::new(target.to_str().unwrap());
        let bytes = archive(entries);
        unpack(&host, bytes.as_slice(), Owner::Caller, &mut |_| {
            target.directory(&host)
        })
    };
    let outside = temp.path().to_str().unwrap();
    into(&[("../x", Regular, "x")]).unwrap_err();
    into(&[("l", Symlink, outside), ("l/x", Regular, "x")]).unwrap_err();
    into(&[("d", Symlink, ".."), ("d/x", Directory, "")]).unwrap_err();
    into(&[("h", Link, "../old")]).unwrap_err();
    into(&[("h", Link, "l/old")]).unwrap_err();
    // An absolute name is one below the directory, as tar(1) has it.
    into(&[("/abs", Regular, "x")]).unwrap();
    assert!(to.join("existing/abs").exists());
    let skipped = into(&[("dev", Char, "")]).unwrap().skipped;
    assert_eq!(skipped.len(), 1, "{skipped:?}");
    let left: Vec<_> = fs::read_dir(temp.path()).unwrap().flatten().collect();
    assert_eq!(left.len(), 2, "{left:?}");
    assert_eq!(fs::read_to_string(to.join("old")).unwrap(), "old");
}

#[test]
fn set_id_bits_do_not_become_the_callers() {
    let (_temp, from, to) = trees();
    let file = from.join("dir/sub/file");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o4755)).unwrap();
    let mut stream = Vec::new();
    let source = Source::new("dir/sub/file");
    pack(&Tree::below(&from), &source, &mut stream).unwrap();
    let tree = Tree::below(&to);
    for (owner, mode) in [(Owner::Caller, 0o755), (Owner::Archived, 0o4755)] {
        unpack(&tree, stream.as_slice(), owner, &mut |kind| {
            Target::new("new").place(&tree, source.name(), kind)
        })
        .unwrap();
        let found = to.join("new").metadata().unwrap().mode() & 0o7777;
        assert_eq!(found, mode, "{owner:?}");
    }
}

#[test]
fn a_compressed_or_broken_stream_is_told() {
    let (_temp, _from, to) = trees();
    let tree = Tree::below(&to);
    let told = |bytes: &[u8]| {
        unpack(&tree, bytes, Owner::Root, &mut |_| {
            Target::new("/").directory(&tree)
        })
        .unwrap_err()
        .to_string()
    };
    assert!(told(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0]).contains("gzip"));
    assert_eq!(told(&[b'x'; 600]), "read the archive");
    let mut whole = archive(&[("file", tar::EntryType::Regular, &"x".repeat(2000))]);
    whole.truncate(1500);
    assert_eq!(told(&whole), "read the archive");
}
