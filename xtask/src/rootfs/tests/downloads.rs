//! One file by HTTP.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use coop_tests::{Serve, Web};
use tempfile::TempDir;

use super::{names, said};
use crate::rootfs::download::{self, Pieces};
use crate::rootfs::http::Client;

const LIMIT: u64 = 1 << 20;

struct Bench {
    web: Web,
    dir: TempDir,
}

impl Bench {
    fn new() -> Self {
        Self {
            web: Web::new(),
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn part(&self) -> PathBuf {
        self.dir.path().join("file.part")
    }

    fn download(&self) -> Result<Pieces> {
        let address = format!("{}/file", self.web.address());
        download::download(&Client::new(), &address, &self.part(), LIMIT)
    }

    /// What came so far.
    fn came(&self) -> Vec<u8> {
        fs::read(self.part()).unwrap()
    }
}

/// So many bytes, no two neighbourhoods alike.
fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index * index / 7) as u8).collect()
}

#[test]
fn a_file_comes_whole_and_gets_its_name_from_the_caller() {
    let bench = Bench::new();
    bench.web.serve("/file", Serve::File(bytes(300_000)));
    assert_eq!(bench.download().unwrap(), Pieces::One);
    assert_eq!(bench.came(), bytes(300_000));
    assert_eq!(bench.web.asked(), ["/file"]);
    download::keep(&bench.part(), &bench.dir.path().join("file")).unwrap();
    assert_eq!(names(bench.dir.path()), ["file"]);
}

#[test]
fn a_download_that_broke_off_is_gone_on_with() {
    let bench = Bench::new();
    bench
        .web
        .serve("/file", Serve::Broken(bytes(300_000), 100_000));
    let error = said(bench.download());
    assert!(
        error.contains("/file: the download ended after 100000 of 300000 bytes"),
        "{error}"
    );
    assert!(error.contains("help: run it again"), "{error}");
    assert_eq!(bench.came(), bytes(300_000)[..100_000]);

    bench.web.asked();
    bench.web.serve("/file", Serve::File(bytes(300_000)));
    assert_eq!(bench.download().unwrap(), Pieces::Several);
    assert_eq!(bench.web.asked(), ["/file bytes=100000-"]);
    assert_eq!(bench.came(), bytes(300_000));

    // Killed before it got its name: nothing is left to fetch.
    assert_eq!(bench.download().unwrap(), Pieces::Several);
    assert_eq!(bench.came(), bytes(300_000));
}

#[test]
fn another_version_of_the_file_is_fetched_from_its_beginning() {
    let bench = Bench::new();
    bench
        .web
        .serve("/file", Serve::Broken(bytes(300_000), 100_000));
    said(bench.download());
    bench.web.serve("/file", Serve::File(vec![7; 200_000]));
    assert_eq!(bench.download().unwrap(), Pieces::One);
    assert_eq!(bench.came(), vec![7; 200_000]);
    // Shorter than what is there.
    bench.web.serve("/file", Serve::File(vec![8; 10]));
    assert_eq!(bench.download().unwrap(), Pieces::One);
    assert_eq!(bench.came(), [8; 10]);
}

#[test]
fn a_server_without_ranges_sends_all_of_it_again() {
    let bench = Bench::new();
    bench
        .web
        .serve("/file", Serve::Broken(bytes(300_000), 100_000));
    said(bench.download());
    bench
        .web
        .serve("/file", Serve::WithoutRanges(bytes(300_000)));
    assert_eq!(bench.download().unwrap(), Pieces::One);
    assert_eq!(bench.came(), bytes(300_000));
    // And tells nothing that a later run could go on by.
    assert_eq!(names(bench.dir.path()), ["file.part"]);
    bench.web.asked();
    bench.download().unwrap();
    assert_eq!(bench.web.asked(), ["/file"]);
}

#[test]
fn what_came_from_elsewhere_is_not_gone_on_with() {
    let bench = Bench::new();
    fs::write(bench.part(), "of another mirror").unwrap();
    fs::write(
        bench.dir.path().join("file.part.from"),
        "http://elsewhere/file\n\"1\"\n",
    )
    .unwrap();
    bench.web.serve("/file", Serve::File(bytes(1000)));
    assert_eq!(bench.download().unwrap(), Pieces::One);
    assert_eq!(bench.web.asked(), ["/file"]);
    assert_eq!(bench.came(), bytes(1000));
}

#[test]
fn what_the_server_does_not_have_is_said_and_leaves_nothing() {
    let bench = Bench::new();
    for (status, help) in [
        (404, "--release"),
        (403, "--mirror"),
        (503, "try again later"),
    ] {
        bench.web.serve("/file", Serve::Status(status));
        let error = said(bench.download());
        assert!(
            error.contains(&format!("/file: the server answered with status {status}")),
            "{error}"
        );
        assert!(error.contains(help), "{error}");
        assert_eq!(names(bench.dir.path()), [""; 0]);
    }
}

#[test]
fn a_refused_connection_is_said() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/file", listener.local_addr().unwrap());
    drop(listener);
    let bench = Bench::new();
    let error = said(download::download(
        &Client::new(),
        &address,
        &bench.part(),
        LIMIT,
    ));
    assert!(
        error.contains(&format!("cannot fetch {address}")),
        "{error}"
    );
    assert!(
        error.contains("refused") && error.contains("help:"),
        "{error}"
    );
    assert_eq!(names(bench.dir.path()), [""; 0]);
}

#[test]
fn a_silent_server_is_given_up() {
    let bench = Bench::new();
    bench.web.serve("/file", Serve::Silent);
    let client = Client::with_patience(Duration::from_millis(200));
    let address = format!("{}/file", bench.web.address());
    let error = said(download::download(&client, &address, &bench.part(), LIMIT));
    assert!(error.contains("timeout"), "{error}");
}

#[test]
fn no_more_than_the_limit_comes() {
    let bench = Bench::new();
    bench
        .web
        .serve("/file", Serve::File(vec![0; LIMIT as usize + 1]));
    let error = said(bench.download());
    assert!(error.contains("more than 1048576 bytes"), "{error}");
    let address = format!("{}/file", bench.web.address());
    let error = said(Client::new().small(&address, 1000));
    assert!(error.contains("more than 1000 bytes"), "{error}");
    Client::new().small(&address, LIMIT + 1).unwrap();
}

#[test]
fn redirects_are_followed_up_to_a_point() {
    let bench = Bench::new();
    bench.web.serve("/file", Serve::Redirect("/moved".into()));
    bench.web.serve(
        "/moved",
        Serve::Redirect(format!("{}/here", bench.web.address())),
    );
    bench.web.serve("/here", Serve::File(bytes(1000)));
    bench.download().unwrap();
    assert_eq!(bench.came(), bytes(1000));
    assert_eq!(bench.web.asked(), ["/file", "/moved", "/here"]);

    bench.web.serve("/here", Serve::Redirect("/file".into()));
    let error = said(bench.download());
    assert!(error.contains("more than 5 redirects"), "{error}");
}

#[test]
fn nothing_is_written_through_a_link_that_is_in_the_way() {
    let bench = Bench::new();
    bench.web.serve("/file", Serve::File(bytes(1000)));
    let elsewhere = bench.dir.path().join("elsewhere");
    fs::write(&elsewhere, "precious").unwrap();
    std::os::unix::fs::symlink(&elsewhere, bench.part()).unwrap();
    let error = said(bench.download());
    assert!(error.contains("is in the way"), "{error}");
    assert_eq!(fs::read(&elsewhere).unwrap(), b"precious");
}
