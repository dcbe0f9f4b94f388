//! Images: import, list, run, remove.

use std::path::PathBuf;

use coop_tests::{Host, Rootfs};

/// Packs the root filesystem with a program of the host, and returns the archive.
fn pack(host: &Host, root: &Rootfs, name: &str) -> PathBuf {
    let archive = host.work().join(name);
    if name.ends_with(".squashfs") {
        let pack = host.tool("mksquashfs").arg(root.path()).arg(&archive);
        pack.args(["-no-progress", "-quiet"]).run().success();
    } else {
        let pack = host
            .tool("tar")
            .arg("--auto-compress")
            .arg("-cf")
            .arg(&archive);
        pack.arg("-C").arg(root.path()).arg(".").run().success();
    }
    archive
}

fn import_and_run(archive: &str) {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let archive = pack(&host, &root, archive);
    host.coop(["image", "import"])
        .arg(archive)
        .arg("mine:1")
        .run()
        .success();
    let run = host.coop(["run", "--rm", "mine:1", "cat", "/marker"]);
    run.run().success().prints(Rootfs::MARKER);
}

#[test]
fn a_tarball_becomes_an_image() {
    import_and_run("image.tar");
}

#[test]
fn a_gzipped_tarball_becomes_an_image() {
    import_and_run("image.tar.gz");
}

#[test]
fn an_xz_tarball_becomes_an_image() {
    import_and_run("image.tar.xz");
}

#[test]
fn a_zstd_tarball_becomes_an_image() {
    import_and_run("image.tar.zst");
}

#[test]
fn a_squashfs_becomes_an_image() {
    import_and_run("image.squashfs");
}

#[test]
fn a_directory_becomes_an_image_and_may_go() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.coop(["image", "import"])
        .arg(root.path())
        .arg("mine:1")
        .run()
        .success();
    std::fs::remove_dir_all(root.path()).unwrap();
    let run = host.coop(["run", "--rm", "mine:1", "cat", "/marker"]);
    run.run().success().prints(Rootfs::MARKER);
}

#[test]
fn images_are_listed_with_name_tag_and_size() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.coop(["image", "import"])
        .arg(root.path())
        .arg("mine:1")
        .run()
        .success();
    for words in [&["images"][..], &["image", "ls"]] {
        let output = host.coop(words).run();
        let row = output
            .success()
            .stdout
            .lines()
            .find(|line| line.starts_with("mine"))
            .unwrap();
        assert!(row.contains('1') && row.contains('B'), "{output}");
    }
}

#[test]
fn an_image_without_a_tag_is_the_latest() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.coop(["image", "import"])
        .arg(root.path())
        .arg("mine")
        .run()
        .success();
    let run = host.coop(["run", "--rm", "mine:latest", "cat", "/marker"]);
    run.run().success().prints(Rootfs::MARKER);
}

#[test]
fn a_removed_image_is_gone_from_list_and_disk() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.coop(["image", "import"])
        .arg(root.path())
        .arg("mine:1")
        .run()
        .success();
    host.coop(["image", "rm", "mine:1"]).run().success();
    host.coop(["images"]).run().success().does_not_say("mine");
    let left = host
        .tool("grep")
        .args(["-rl", Rootfs::MARKER])
        .arg(host.coop_root())
        .run();
    left.prints("");
}

#[test]
fn an_image_in_use_is_not_removed() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    host.coop(["image", "import"])
        .arg(root.path())
        .arg("mine:1")
        .run()
        .success();
    host.coop(["run", "-d", "--name", "box", "mine:1", "sleep", "1000"])
        .run()
        .success();
    host.coop(["image", "rm", "mine:1"])
        .run()
        .fails(1, &["mine:1", "box"]);
    host.coop(["rm", "-f", "box"]).run().success();
    host.coop(["image", "rm", "mine:1"]).run().success();
}

#[test]
fn removing_an_unknown_image_is_an_error() {
    let host = Host::new();
    host.coop(["image", "rm", "ghost:1"])
        .run()
        .fails(1, &["ghost:1"]);
}

#[test]
fn a_file_that_is_no_image_is_refused_and_leaves_nothing() {
    let host = Host::new();
    let before = host.snapshot();
    let junk = host.file("junk.tar", [0xa5; 4096]);
    host.coop(["image", "import"])
        .arg(junk)
        .arg("mine:1")
        .run()
        .fails(1, &["junk.tar"]);
    host.coop(["images"]).run().success().does_not_say("mine");
    host.assert_nothing_left(&before);
}

#[test]
fn a_truncated_archive_is_refused() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let archive = pack(&host, &root, "image.tar.gz");
    let bytes = std::fs::read(&archive).unwrap();
    std::fs::write(&archive, &bytes[..bytes.len() / 2]).unwrap();
    let output = host
        .coop(["image", "import"])
        .arg(archive)
        .arg("mine:1")
        .run();
    output.fails(1, &["image.tar.gz"]);
    host.coop(["images"]).run().success().does_not_say("mine");
}

/// A hostile archive becomes an image without its bad parts, or is refused by name.
#[track_caller]
fn import_evil(host: &Host, archive: &std::path::Path) {
    let output = host
        .coop(["image", "import"])
        .arg(archive)
        .arg("evil")
        .run();
    if !output.status.success() {
        let name = archive.file_name().unwrap_or_default().to_string_lossy();
        output.fails(1, &[&name]);
    }
}

#[test]
fn an_archive_writes_nothing_outside_of_its_image() {
    let host = Host::new();
    host.file("payload", "planted");
    let work = host.work();
    let target = work.display().to_string();
    let climb = format!("{}{target}/planted-by-climbing", "../".repeat(30));
    let names = [format!("{target}/planted-by-absolute-path"), climb];
    for (number, name) in names.iter().enumerate() {
        let archive = work.join(format!("evil{number}.tar"));
        let pack = host
            .tool("tar")
            .arg("-cPf")
            .arg(&archive)
            .arg("--transform");
        pack.arg(format!("s,payload,{name},"))
            .arg("payload")
            .run()
            .success();
        import_evil(&host, &archive);
    }
    let planted = std::fs::read_dir(&work)
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name());
    let planted: Vec<_> = planted
        .filter(|name| name.to_string_lossy().starts_with("planted"))
        .collect();
    assert!(planted.is_empty(), "{planted:?}");
}

#[test]
fn an_archive_writes_nothing_through_a_link_of_its_own() {
    let host = Host::new();
    let outside = host
        .file("outside/keep", "x")
        .parent()
        .unwrap()
        .to_path_buf();
    let archive = host.work().join("evil.tar");
    // First a link `door` to the outside, then a file `door/planted`.
    std::os::unix::fs::symlink(&outside, host.work().join("door")).unwrap();
    host.tool("tar")
        .arg("-cf")
        .arg(&archive)
        .arg("door")
        .run()
        .success();
    std::fs::remove_file(host.work().join("door")).unwrap();
    host.file("door/planted", "planted");
    host.tool("tar")
        .arg("-rf")
        .arg(&archive)
        .arg("door/planted")
        .run()
        .success();
    import_evil(&host, &archive);
    assert!(!outside.join("planted").exists());
}
