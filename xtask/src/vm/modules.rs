//! Kernel modules: which the guest needs, where they are, and in which order they load.
//!
//! Debian's packages bring no `modules.dep`: it is made when they are installed. So the
//! dependencies are read from where `depmod` reads them, the modules themselves.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// What the guest's devices and Coop's features need, as far as it is no part of the image.
/// Loaded at boot, so that no kernel has to ask for one later.
pub(crate) const WANTED: &[&str] = &[
    // The disks, before everything else.
    "nvme",
    "ext4",
    "crc32c_generic",
    // Root filesystems.
    "overlay",
    "squashfs",
    "loop",
    "fuse",
    // Networks.
    "veth",
    "bridge",
    "br_netfilter",
    "dummy",
    "sctp",
    "tun",
    "sch_netem",
    "sch_tbf",
    // Rules.
    "nf_tables",
    "nft_chain_nat",
    "nft_nat",
    "nft_masq",
    "nft_redir",
    "nft_ct",
    "nft_fib",
    "nft_fib_inet",
    "nft_fib_ipv4",
    "nft_fib_ipv6",
    "nft_reject",
    "nft_reject_inet",
    "nft_limit",
    "nft_log",
    "nft_counter",
    "nft_objref",
    "nft_meta_bridge",
    "nft_compat",
    // The limits of `io`.
    "bfq",
];

/// A module that is to be loaded: its file's name, and its content.
pub(crate) struct Module {
    pub(crate) name: String,
    pub(crate) content: Vec<u8>,
}

/// The `wanted` modules that exist below `directory` and all that they depend on, in an order
/// in which they can be loaded.
///
/// # Errors
/// When a module cannot be read, or one that another needs is missing.
pub(crate) fn in_order(directory: &Path, wanted: &[&str]) -> Result<Vec<Module>> {
    let mut files = HashMap::new();
    index(directory, &mut files)?;
    let mut order = Vec::new();
    for name in wanted {
        // What is missing is built into the kernel, or unknown to this version.
        if files.contains_key(&plain(name)) {
            add(&plain(name), &files, &mut order)?;
        }
    }
    Ok(order)
}

fn add(name: &str, files: &HashMap<String, PathBuf>, order: &mut Vec<Module>) -> Result<()> {
    if order.iter().any(|module| module.name == name) {
        return Ok(());
    }
    let path = files
        .get(name)
        .with_context(|| format!("the kernel module {name} is missing"))?;
    let content = read(path)?;
    for dependency in depends(&content) {
        add(&plain(&dependency), files, order)?;
    }
    order.push(Module {
        name: name.to_owned(),
        content,
    });
    Ok(())
}

/// Module names and files below `directory`.
fn index(directory: &Path, files: &mut HashMap<String, PathBuf>) -> Result<()> {
    let entries = fs::read_dir(directory).with_context(|| format!("{}", directory.display()))?;
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            index(&entry.path(), files)?;
        } else if let Some((name, _)) = entry.file_name().to_string_lossy().split_once(".ko") {
            files.insert(plain(name), entry.path());
        }
    }
    Ok(())
}

/// File names have either sign where module names have an underscore.
fn plain(name: &str) -> String {
    name.replace('-', "_")
}

/// A module as the kernel takes it.
fn read(path: &Path) -> Result<Vec<u8>> {
    let program = match path.extension().and_then(|it| it.to_str()) {
        Some("xz") => "xz",
        Some("zst") => "zstd",
        Some("gz") => "gzip",
        _ => return fs::read(path).with_context(|| format!("read {}", path.display())),
    };
    let output = Command::new(program)
        .args(["--decompress", "--stdout"])
        .arg(path)
        .output()
        .with_context(|| format!("cannot start {program}"))?;
    if !output.status.success() {
        bail!("{program} {}: {}", path.display(), output.status);
    }
    Ok(output.stdout)
}

/// The line `depends=a,b` of the section `.modinfo`, which is a row of such strings, each
/// behind a zero byte.
fn depends(module: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(start) = module.windows(KEY.len()).position(|window| window == KEY) else {
        return Vec::new();
    };
    let rest = &module[start + KEY.len()..];
    let end = rest.iter().position(|byte| *byte == 0).unwrap_or(0);
    String::from_utf8_lossy(&rest[..end])
        .split(',')
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(directory: &Path, file: &str, depends: &str) {
        let path = directory.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let content = format!("\x7fELF..\0license=GPL\0depends={depends}\0name=x\0");
        fs::write(path, content).unwrap();
    }

    #[test]
    fn what_a_module_needs_comes_before_it_and_only_once() {
        let directory = tempfile::tempdir().unwrap();
        module(directory.path(), "net/bridge.ko", "stp,llc");
        module(directory.path(), "net/stp.ko", "llc");
        module(directory.path(), "net/llc.ko", "");
        module(directory.path(), "net/br-netfilter.ko", "bridge");
        let modules = in_order(directory.path(), &["br_netfilter", "bridge", "builtin"]).unwrap();
        let names: Vec<_> = modules.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["llc", "stp", "bridge", "br_netfilter"]);
    }

    #[test]
    fn a_missing_dependency_is_named() {
        let directory = tempfile::tempdir().unwrap();
        module(directory.path(), "bridge.ko", "stp");
        let error = in_order(directory.path(), &["bridge"]).err().unwrap();
        assert!(error.to_string().contains("stp"), "{error}");
    }
}
