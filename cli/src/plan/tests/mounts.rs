//! What is mounted, and in which order.

use coop_fs::Mount;
use coop_image::ImageConfig;

use super::super::mounts::{Mounts, Places, mounts};
use super::*;

/// The mounts of `web`, a line each, without the place of the fixture.
fn lines(mounts: &[Mount], fixture: &Fixture) -> String {
    let lines = mounts.iter().map(|mount| match mount {
        Mount::Bind {
            source,
            target,
            options,
        } => format!("{} <- {} {options}", target.display(), source.display()),
        Mount::Tmpfs {
            target,
            size,
            mode,
            options,
        } => format!("{} tmpfs {size:?} {mode:?} {options}", target.display()),
        standard => format!("{} standard", standard.target().display()),
    });
    lines
        .map(|line| line.replace(&fixture.path().display().to_string(), "DIR") + "\n")
        .collect()
}

#[test]
fn a_mount_below_another_comes_after_it() {
    let fixture = Fixture::new();
    let draft = fixture
        .web(
            "tmpfs: ['/run/a/b:size=1m,mode=700,uid=5,exec,ro', /run]\n\
             volumes:\n  - ./root:/srv/www/deep:ro,z,rslave\n  - data:/srv/www:nocopy\n  \
             - {type: tmpfs, target: /srv, read_only: true}",
        )
        .unwrap();
    insta::assert_snapshot!(lines(&draft.plan.mounts, &fixture));
}

#[test]
fn a_mount_of_the_service_replaces_the_standard_one() {
    let fixture = Fixture::new();
    let draft = fixture
        .web("tmpfs: '/dev/shm:size=1g'\nvolumes: ['./root:/etc/hosts']")
        .unwrap();
    let count = |target: &str| {
        let mounts = draft.plan.mounts.iter();
        mounts
            .filter(|mount| mount.target() == Path::new(target))
            .count()
    };
    assert_eq!((count("/dev/shm"), count("/etc/hosts")), (1, 1));
    assert!(
        !draft
            .plan
            .mounts
            .iter()
            .any(|mount| matches!(mount, Mount::Shm { .. }))
    );
}

#[test]
fn volumes_of_the_image_are_anonymous_where_nobody_placed_another() {
    let fixture = Fixture::new();
    let loaded = fixture.load(&web("volumes: ['data:/placed']")).unwrap();
    let image = ImageConfig {
        volumes: ["/placed/".to_owned(), "/kept".to_owned()].into(),
        ..ImageConfig::default()
    };
    let places = Places {
        names: Path::new("/c"),
        volumes: &fixture.host.volumes,
        readonly_root: None,
    };
    let service = &loaded.stack.services["web"];
    let Mounts { volumes, .. } = mounts(&loaded.stack, service, &image, &places).unwrap();
    let [placed, kept] = volumes.as_slice() else {
        panic!("{volumes:?}")
    };
    assert_eq!(
        (placed.name.as_str(), placed.anonymous),
        ("shop_data", false)
    );
    assert_eq!(
        (kept.target.as_path(), kept.anonymous),
        (Path::new("/kept"), true)
    );
}
