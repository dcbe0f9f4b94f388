use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;

use super::*;
use crate::dist::Item;

fn place(dir: &Path) -> Place {
    Place::new(&Options {
        prefix: "/usr/local".into(),
        destdir: Some(dir.to_owned()),
    })
    .unwrap()
}

fn release(files: &[(&str, &str)]) -> Contents {
    let item = |(path, content): &(&str, &str)| Item {
        mode: 0o755,
        ..Item::data(*path, content.as_bytes().to_vec())
    };
    Contents::of(files.iter().map(item).collect())
}

/// Everything below a directory: contents of files, and directories.
fn tree(dir: &Path) -> BTreeMap<String, Option<String>> {
    let mut found = BTreeMap::new();
    let mut open = vec![dir.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(dir).unwrap().display().to_string();
            if path.is_dir() {
                found.insert(name, None);
                open.push(path);
            } else {
                found.insert(name, Some(fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found
}

#[test]
fn uninstall_removes_what_install_made_and_nothing_else() {
    let temp = tempfile::tempdir().unwrap();
    let share = temp.path().join("usr/local/share/man");
    fs::create_dir_all(&share).unwrap();
    fs::write(share.join("other.1"), "not ours").unwrap();
    let before = tree(temp.path());

    let place = place(temp.path());
    let release = release(&[("bin/coop", "program"), ("share/man/man1/coop.1", "page")]);
    place.install(&release).unwrap();
    let program = temp.path().join("usr/local/bin/coop");
    assert_eq!(fs::read_to_string(&program).unwrap(), "program");
    assert_eq!(program.metadata().unwrap().mode() & 0o7777, 0o755);

    place.uninstall().unwrap();
    assert_eq!(tree(temp.path()), before);
    let again = place.uninstall().unwrap_err().to_string();
    assert!(again.contains("nothing was installed"), "{again}");
}

#[test]
fn a_prefix_that_was_not_there_goes_again() {
    let temp = tempfile::tempdir().unwrap();
    let place = place(temp.path());
    place.install(&release(&[("bin/coop", "x")])).unwrap();
    // Again, with everything there: who made it is not forgotten.
    place.install(&release(&[("bin/coop", "x")])).unwrap();
    place.uninstall().unwrap();
    assert_eq!(tree(temp.path()), BTreeMap::new());
}

#[test]
fn a_new_version_takes_the_files_of_the_old_one_away() {
    let temp = tempfile::tempdir().unwrap();
    let place = place(temp.path());
    let old = release(&[("bin/coop", "old"), ("share/man/man1/coop-gone.1", "page")]);
    place.install(&old).unwrap();
    let program = temp.path().join("usr/local/bin/coop");
    let running = File::open(&program).unwrap();
    place.install(&release(&[("bin/coop", "new")])).unwrap();
    assert_eq!(fs::read_to_string(&program).unwrap(), "new");
    assert!(
        !temp
            .path()
            .join("usr/local/share/man/man1/coop-gone.1")
            .exists()
    );
    // Who runs the old one goes on with it: it was replaced and not written over.
    assert_eq!(std::io::read_to_string(running).unwrap(), "old");
    place.uninstall().unwrap();
    assert!(!temp.path().join("usr/local").exists());
}

#[test]
fn a_file_that_somebody_put_beside_ours_stays() {
    let temp = tempfile::tempdir().unwrap();
    let place = place(temp.path());
    place.install(&release(&[("bin/coop", "x")])).unwrap();
    let beside = temp.path().join("usr/local/bin/mine");
    fs::write(&beside, "mine").unwrap();
    place.uninstall().unwrap();
    assert!(beside.exists());
    assert!(!temp.path().join("usr/local/share").exists());
}

#[test]
fn what_cannot_be_written_says_what_to_do() {
    // A file in the way, as root may write everywhere.
    let temp = tempfile::tempdir().unwrap();
    fs::write(temp.path().join("usr"), "").unwrap();
    let error = place(temp.path())
        .install(&release(&[("bin/coop", "x")]))
        .unwrap_err();
    assert!(
        format!("{error:#}").contains("usr/local/share/coop"),
        "{error:#}"
    );
    let denied = failed("write", Path::new("/x"), ErrorKind::PermissionDenied.into());
    assert!(denied.to_string().contains("help: as root"), "{denied}");
}

#[test]
fn a_prefix_is_absolute_and_does_not_climb() {
    for prefix in ["usr/local", "/usr/../etc"] {
        let options = Options {
            prefix: prefix.into(),
            destdir: None,
        };
        assert!(Place::new(&options).is_err(), "{prefix}");
    }
}
