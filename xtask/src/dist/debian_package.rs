//! The Debian package: see `deb(5)` and `deb-control(5)`.
//!
//! Made here and not by a tool of Debian's, so that a release can be made on any Linux, and
//! needs nothing that is not built with it. It has no scripts: there is no service, no user and
//! no configuration, and what Coop keeps in `/var/lib/coop` is the user's.

use anyhow::{Result, bail};

use super::{Contents, Item, archive};

const MIT: &str = include_str!("../../../LICENSE-MIT");

const COPYRIGHT: &str = "\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: coop

Files: *
Copyright: The Coop contributors
License: Expat or Apache-2.0

License: Expat
@MIT@

License: Apache-2.0
 On Debian systems, the text of the Apache License, version 2.0, is in
 /usr/share/common-licenses/Apache-2.0.
";

const CHANGELOG: &str = "\
coop (@VERSION@) unstable; urgency=medium

  * Release @VERSION@.

 -- Coop developers <coop@example.org>  @TIME@
";

/// What lintian(1) holds against a static program in Rust.
const OVERRIDES: &str = "\
# Crates are linked statically; this one is libyaml in Rust.
coop: embedded-library libyaml [usr/bin/coop]
# A static program that is position-independent has no prerequisites.
coop: shared-library-lacks-prerequisites [usr/bin/coop]
";

const CONTROL: &str = "\
Package: coop
Version: @VERSION@
Architecture: @ARCHITECTURE@
Maintainer: Coop developers <coop@example.org>
Installed-Size: @KILOBYTES@
Depends: iproute2
Recommends: nftables, passt | slirp4netns
Suggests: busybox-static, uidmap
Section: admin
Priority: optional
Description: stacks of containers from a compose file, with no daemon
 Coop brings stacks of containers up from a compose-style YAML file. One static
 program does the whole way: stack file, root filesystems, networks, limits,
 supervision, logs. A container has a user namespace, few capabilities and
 limits unless something weaker is asked for by name.
";

/// The package's file name, and its bytes.
pub(super) fn build(contents: &Contents, version: &str, time: u64) -> Result<(String, Vec<u8>)> {
    let architecture = architecture()?;
    let mut items = Vec::new();
    for item in contents.items() {
        items.extend(placed(item)?);
    }
    let copyright = COPYRIGHT.replace("@MIT@", &paragraphs(MIT));
    items.push(Item::data(
        "./usr/share/doc/coop/copyright",
        copyright.into(),
    ));
    let changelog = CHANGELOG
        .replace("@VERSION@", version)
        .replace("@TIME@", &archive::rfc_2822(time));
    let changelog = archive::gzip(changelog.as_bytes())?;
    items.push(Item::data("./usr/share/doc/coop/changelog.gz", changelog));
    items.push(Item::data(
        "./usr/share/lintian/overrides/coop",
        OVERRIDES.into(),
    ));
    let items = Contents::of(items);
    let data = archive::gzip(&archive::tar(items.items(), time)?)?;

    let bytes: usize = items.items().iter().map(|item| item.content.len()).sum();
    let control = CONTROL
        .replace("@VERSION@", version)
        .replace("@ARCHITECTURE@", architecture)
        .replace("@KILOBYTES@", &bytes.div_ceil(1024).to_string());
    // Without `md5sums`: dpkg makes its own when it unpacks.
    let control = [Item::data("./control", control.into_bytes())];
    let control = archive::gzip(&archive::tar(&control, time)?)?;

    let mut package = b"!<arch>\n".to_vec();
    for (name, content) in [
        ("debian-binary", &b"2.0\n"[..]),
        ("control.tar.gz", &control),
        ("data.tar.gz", &data),
    ] {
        member(&mut package, name, content, time);
    }
    Ok((format!("coop_{version}_{architecture}.deb"), package))
}

/// Where Debian has an item, if it has it at all: its licences are in one file, manuals are
/// compressed, and completions for zsh lie elsewhere.
fn placed(item: &Item) -> Result<Option<Item>> {
    if item.path.starts_with("share/doc/coop/LICENSE-") {
        return Ok(None);
    }
    let mut path =
        format!("./usr/{}", item.path).replace("/zsh/site-functions/", "/zsh/vendor-completions/");
    let mut content = item.content.clone();
    if path.contains("/man/") {
        path += ".gz";
        content = archive::gzip(&content)?;
    }
    Ok(Some(Item {
        path,
        mode: item.mode,
        content,
    }))
}

/// This machine in Debian's words: the package holds a program for it.
fn architecture() -> Result<&'static str> {
    match std::env::consts::ARCH {
        "x86_64" => Ok("amd64"),
        "aarch64" => Ok("arm64"),
        other => bail!("no name of Debian's is known for the architecture {other}"),
    }
}

/// As the continuation of a field: `deb-src-control(5)`.
fn paragraphs(text: &str) -> String {
    let lines = text.trim_end().lines().map(|line| match line.trim_end() {
        "" => " .".to_owned(),
        line => format!(" {line}"),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// One file of an `ar(5)` archive.
fn member(archive: &mut Vec<u8>, name: &str, content: &[u8], time: u64) {
    let size = content.len();
    archive.extend(
        format!(
            "{name:<16}{time:<12}{:<6}{:<6}{:<8}{size:<10}`\n",
            0, 0, "100644"
        )
        .bytes(),
    );
    archive.extend(content);
    if size % 2 == 1 {
        archive.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents() -> Contents {
        let program = Item {
            path: "bin/coop".into(),
            mode: 0o755,
            content: vec![7; 5000],
        };
        let data = |path: &str| Item::data(path, b"text\n".to_vec());
        Contents::of(vec![
            program,
            data("share/man/man1/coop.1"),
            data("share/zsh/site-functions/_coop"),
            data("share/doc/coop/LICENSE-MIT"),
        ])
    }

    #[test]
    fn a_package_is_an_archive_of_three_whole_members() {
        let (name, package) = build(&contents(), "1.2.3", 1_700_000_000).unwrap();
        assert!(name.starts_with("coop_1.2.3_"), "{name}");
        let mut rest = package.strip_prefix(b"!<arch>\n").unwrap();
        let mut members = Vec::new();
        while !rest.is_empty() {
            let (header, after) = rest.split_at(60);
            assert_eq!(&header[58..], b"`\n");
            members.push(String::from_utf8_lossy(&header[..16]).trim().to_owned());
            let size: usize = String::from_utf8_lossy(&header[48..58])
                .trim()
                .parse()
                .unwrap();
            rest = &after[size.next_multiple_of(2).min(after.len())..];
        }
        assert_eq!(members, ["debian-binary", "control.tar.gz", "data.tar.gz"]);
        let again = build(&contents(), "1.2.3", 1_700_000_000).unwrap();
        assert!(again.1 == package);
    }

    #[test]
    fn files_lie_where_debian_has_them() {
        let contents = contents();
        let places: Vec<_> = { contents.items().iter() }
            .filter_map(|item| placed(item).unwrap())
            .map(|item| item.path)
            .collect();
        assert_eq!(
            places,
            [
                "./usr/bin/coop",
                "./usr/share/man/man1/coop.1.gz",
                "./usr/share/zsh/vendor-completions/_coop",
            ]
        );
    }

    #[test]
    fn empty_lines_of_a_licence_stay() {
        assert_eq!(paragraphs("a\n\n  b\n"), " a\n .\n   b");
    }
}
