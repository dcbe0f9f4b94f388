//! The host image runs, made either way.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on shall say where"
)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Bench, is_root, reference, run, str, text};
use coop_image::host::{Recipe, Userland};
use coop_image::{Error, Image, ensure_host_image, ensure_host_image_with};

const LOOK: &str = "ls / && cat /etc/passwd && ps && hostname && ip a && id && echo ok > /tmp/x";

fn make(bench: &Bench, userland: Userland) -> Image {
    let recipe = Recipe {
        userland,
        extra: Vec::new(),
    };
    ensure_host_image_with(&bench.store, &recipe).unwrap_or_else(|e| panic!("{}", text(&e)))
}

/// Runs a shell in the image, in namespaces of its own and with a `/proc`. What is
/// written goes to the layer: no test relies on it afterwards.
fn shell(image: &Image, script: &str) -> String {
    let output = Command::new("unshare")
        .args([
            "--mount",
            "--uts",
            "--net",
            "--pid",
            "--fork",
            "--mount-proc",
        ])
        .arg(format!("--root={}", image.layers[0].display()))
        .args(["/bin/sh", "-c", script])
        .env_clear()
        .envs(
            image
                .config
                .env
                .iter()
                .filter_map(|entry| entry.split_once('=')),
        )
        .env("PATH", format!("{}:/bin", std::env::var("PATH").unwrap()))
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}

fn static_busybox() -> Option<PathBuf> {
    let found = ["/bin/busybox", "/usr/bin/busybox", "/bin/busybox.static"]
        .iter()
        .map(PathBuf::from)
        .find(|path| {
            fs::read(path).is_ok_and(|bytes| {
                !bytes
                    .windows(11)
                    .any(|window| window == b"ld-linux-x8" || window == b"ld-musl-x86")
            })
        });
    if found.is_none() {
        eprintln!("skipped: this host has no static busybox");
    }
    found
}

fn assert_works(image: &Image) {
    assert_eq!(image.reference, reference("coop/host"));
    assert_eq!(image.config.cmd, ["/bin/sh"]);
    let seen = shell(image, &format!("hostname from-a-test; {LOOK}"));
    for expected in [
        "bin\n",
        "www\n",
        "nobody:x:65534",
        "PID",
        "from-a-test\n",
        "lo:",
        "uid=0",
    ] {
        assert!(seen.contains(expected), "{expected} is not in {seen}");
    }
    let mode = |path: &str| {
        use std::os::unix::fs::PermissionsExt;
        image.layers[0]
            .join(path)
            .metadata()
            .unwrap()
            .permissions()
            .mode()
            & 0o7777
    };
    assert_eq!(
        (mode("tmp"), mode("etc/passwd"), mode("")),
        (0o1777, 0o644, 0o755)
    );
    let release = fs::read_to_string(image.layers[0].join("etc/os-release")).unwrap();
    assert!(release.contains("Coop host image"));
}

#[test]
fn busybox_is_a_whole_userland_with_a_server_and_a_client() {
    if !is_root() {
        return;
    }
    let Some(busybox) = static_busybox() else {
        return;
    };
    let bench = Bench::new();
    let image = make(&bench, Userland::Busybox(busybox));
    assert_works(&image);
    let page = shell(
        &image,
        "ip link set lo up && httpd -p 127.0.0.1:80 -h /www && wget -qO- http://127.0.0.1/",
    );
    assert!(page.contains("It works"), "{page}");
    for applet in ["httpd", "wget", "nc", "ping", "sleep", "env", "grep"] {
        assert!(
            image.layers[0].join("bin").join(applet).exists(),
            "{applet}"
        );
    }
}

#[test]
fn the_hosts_own_tools_run_with_their_libraries() {
    if !is_root() {
        return;
    }
    let bench = Bench::new();
    let image = make(&bench, Userland::HostTools);
    assert_works(&image);
    let list = shell(
        &image,
        "for tool in /usr/bin/*; do case $tool in */[[]) ;; *) echo $tool ;; esac; done",
    );
    assert!(list.lines().count() > 40, "{list}");
    // Every program finds its libraries, as the loader in the image itself sees it.
    let broken = shell(
        &image,
        "for file in /usr/bin/*; do for loader in /lib64/ld-*.so.* /lib/ld-*.so.*; do
             test -e $loader && $loader --list $file 2>&1 | grep 'not found';
         done; done; true",
    );
    assert_eq!(broken, "");
}

#[test]
fn it_is_made_once_and_again_only_when_something_changed() {
    let bench = Bench::new();
    let tool = bench.path("tool");
    fs::write(&tool, "one").unwrap();
    let recipe = Recipe {
        userland: Userland::HostTools,
        extra: vec![(tool.clone(), PathBuf::from("/opt/tool"))],
    };
    let ensure = || ensure_host_image_with(&bench.store, &recipe).unwrap();
    let first = ensure();
    let record = bench.path("store/images/docker.io/coop/host/_tags/latest.json");
    let written = || fs::metadata(&record).unwrap().modified().unwrap();
    let before = written();
    assert_eq!(ensure(), first);
    assert_eq!(written(), before, "nothing was done");
    // Touched: made again, of the same content.
    fs::write(&tool, "one").unwrap();
    let again = ensure();
    assert_ne!(written(), before);
    assert_eq!(
        (again.id, again.layers),
        (first.id.clone(), first.layers.clone())
    );
    fs::write(&tool, "two").unwrap();
    let changed = ensure();
    assert_ne!(changed.layers, first.layers);
    assert_eq!(
        fs::read(changed.layers[0].join("opt/tool")).unwrap(),
        b"two"
    );
    // A lost layer or a damaged record is no reason to fail.
    fs::remove_dir_all(&changed.layers[0]).unwrap();
    assert!(ensure().layers[0].join("opt/tool").exists());
    fs::write(&record, "{").unwrap();
    assert_eq!(ensure().id, changed.id);
}

#[test]
fn many_at_once_make_one() {
    let bench = Bench::new();
    let images: Vec<Image> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| ensure_host_image(&bench.store).unwrap()))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(images.iter().all(|image| *image == images[0]));
    assert_eq!(bench.layers().len(), 1);
}

#[test]
fn an_extra_program_brings_libraries_from_beside_itself() {
    if !is_root() {
        return;
    }
    let bench = Bench::new();
    let app = bench.path("app");
    fs::create_dir_all(app.join("bin")).unwrap();
    fs::create_dir_all(app.join("lib")).unwrap();
    fs::write(app.join("lib.c"), "int answer(void) { return 42; }").unwrap();
    fs::write(
        app.join("main.c"),
        "#include <stdio.h>\nint answer(void); int main() { printf(\"%d\\n\", answer()); }",
    )
    .unwrap();
    let library = app.join("lib/libanswer.so");
    run(
        "cc",
        &[
            "-shared",
            "-fPIC",
            "-Wl,-soname,libanswer.so",
            "-o",
            str(&library),
            str(&app.join("lib.c")),
        ],
    );
    run(
        "cc",
        &[
            "-o",
            str(&app.join("bin/main")),
            str(&app.join("main.c")),
            str(&library),
            "-Wl,-rpath,$ORIGIN/../lib",
        ],
    );
    let recipe = Recipe {
        userland: Userland::HostTools,
        extra: vec![(app.join("bin/main"), PathBuf::from("/opt/app/bin/main"))],
    };
    let image = ensure_host_image_with(&bench.store, &recipe).unwrap();
    assert!(image.layers[0].join("opt/app/lib/libanswer.so").is_file());
    assert_eq!(shell(&image, "/opt/app/bin/main"), "42\n");

    fs::remove_file(&library).unwrap();
    let error = text(&ensure_host_image_with(&bench.store, &recipe).unwrap_err());
    assert!(
        error.contains("bin/main") && error.contains("libanswer.so"),
        "{error}"
    );
    assert_eq!(
        common::list(&bench.path("store/tmp")),
        Vec::<PathBuf>::new()
    );
}

#[test]
fn a_busybox_that_is_none_is_refused() {
    let bench = Bench::new();
    let recipe = |path: &Path| Recipe {
        userland: Userland::Busybox(path.to_owned()),
        extra: Vec::new(),
    };
    let script = bench.path("script");
    fs::write(&script, "#!/bin/sh\n").unwrap();
    let error = ensure_host_image_with(&bench.store, &recipe(&script)).unwrap_err();
    assert!(matches!(error, Error::Program { .. }), "{error:?}");
    let error = ensure_host_image_with(&bench.store, &recipe(Path::new("/bin/ls"))).unwrap_err();
    assert!(text(&error).contains("not a static program"), "{error}");
    let missing = ensure_host_image_with(&bench.store, &recipe(Path::new("/missing"))).unwrap_err();
    assert!(text(&missing).contains("No such file"), "{missing}");
    bench.assert_nothing_left();
}
