//! Fuzz targets for the parsers of what Coop does not trust, or what may be damaged.
//!
//! A target takes any bytes and panics when a promise is broken. `cargo xtask fuzz` looks for
//! such bytes; the test `replay` runs every target over its seeds and over what was found once,
//! which lie in `seeds/TARGET/`.

mod archives;
mod files;
mod profiles;
mod scratch;
mod values;

/// The variable that names the target for libFuzzer.
pub const TARGET: &str = "COOP_FUZZ_TARGET";

/// One parser under attack.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name on the command line, and that of its directory of seeds.
    pub name: &'static str,
    /// What it reads, in a few words.
    pub about: &'static str,
    /// Panics when `data` breaks a promise.
    pub run: fn(data: &[u8]),
}

/// All targets.
pub const TARGETS: &[Target] = &[
    // What strangers write: images, and programs in containers.
    target("image_tar", "a layer in a tar archive", archives::image_tar),
    target(
        "image_squashfs",
        "an image in a squashfs",
        archives::image_squashfs,
    ),
    target(
        "image_packed",
        "gzip, zstd and xz around an image",
        archives::image_packed,
    ),
    target(
        "copied_tar",
        "what a container sends to `cp`",
        archives::copied_tar,
    ),
    target(
        "entry_path",
        "names in archives",
        coop_image::fuzzing::entry_path,
    ),
    target("passwd", "users and groups of an image", files::passwd),
    target(
        "terminal_text",
        "output beside other lines",
        coop::fuzzing::terminal_text,
    ),
    target(
        "proc_stat",
        "/proc/PID/stat",
        coop_launcher::fuzzing::proc_stat,
    ),
    target("top", "processes of a container", coop::fuzzing::process),
    target(
        "kernel_text",
        "text files about cgroups",
        coop_cgroup::fuzzing::kernel_text,
    ),
    target("sockets", "/proc/net/tcp", coop_net::fuzzing::sockets),
    target(
        "dns",
        "a container's question, and a server's answer",
        coop_net::fuzzing::dns,
    ),
    target("elf", "programs of the host", coop_image::fuzzing::elf),
    // What users write.
    target("stack_file", "a stack file", coop::fuzzing::stack_file),
    target(
        "interpolation",
        "variables in text",
        coop::fuzzing::interpolation,
    ),
    target("env_file", "files of variables", coop::fuzzing::env_file),
    target(
        "short_syntax",
        "short forms of values",
        coop::fuzzing::short_syntax,
    ),
    target(
        "leaf_values",
        "values of the leaf crates",
        values::leaf_values,
    ),
    target(
        "names",
        "names of networks, links and rules",
        coop_net::fuzzing::names,
    ),
    target("reference", "names of images", values::reference),
    target(
        "seccomp_profile",
        "profiles of the OCI, Docker and Podman",
        profiles::seccomp_profile,
    ),
    target("template", "Go templates", coop::fuzzing::template),
    target(
        "filters",
        "filters and points in time",
        coop::fuzzing::filters,
    ),
    target(
        "detach_keys",
        "detach keys and what is typed",
        coop_launcher::fuzzing::detach_keys,
    ),
    // What Coop itself wrote, torn by a crash or written by another version.
    target("plan", "the plan of a container", coop::fuzzing::plan),
    target(
        "state",
        "the state of a container, events, failures",
        values::state,
    ),
    target("control", "packets of the control socket", values::control),
    target(
        "image_record",
        "the record and configuration of an image",
        values::image_record,
    ),
    target(
        "network_files",
        "a network and its rules",
        coop_net::fuzzing::rules,
    ),
    target("journal", "the journal of undos", files::journal),
    target("log", "a log and its readers", files::log),
    target(
        "log_stage",
        "output that is not in the log yet",
        files::log_stage,
    ),
    target(
        "volume_record",
        "the record of a volume",
        files::volume_record,
    ),
];

/// The target of this name.
pub fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

const fn target(name: &'static str, about: &'static str, run: fn(&[u8])) -> Target {
    Target { name, about, run }
}
