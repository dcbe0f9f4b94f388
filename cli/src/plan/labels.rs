//! Labels of the security modules: what `security_opt` asks for, on a host that has them.

use std::path::Path;

use anyhow::{Result, bail};
use coop_launcher::store::ContainerId;
use coop_ns::privileges::Label;

use crate::stack::Service;
use crate::stack::value::{ContextPart, SecurityOpt};

/// What a process of the container is held to, and what its files are called.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Labels {
    /// Of the process.
    pub process: Vec<Label>,
    /// Of what is mounted for the container alone, by `SELinux`.
    pub files: Option<String>,
}

/// The labels of a service.
pub(super) fn labels(service: &Service, id: &ContainerId) -> Result<Labels> {
    let options = &service.isolation.security_opt;
    let mut labels = Labels::default();
    // Of several the last one counts.
    let apparmor = options.iter().rev().find_map(|option| match option {
        SecurityOpt::AppArmor(profile) => Some(Some(profile)),
        SecurityOpt::AppArmorUnconfined => Some(None),
        _ => None,
    });
    if let Some(Some(profile)) = apparmor {
        labels.process.push(Label::AppArmor(profile.clone()));
    }
    let parts = parts(options);
    if !parts.is_empty() {
        let contexts = Contexts::of_host();
        let level = format!("s0:{}", categories(id));
        labels
            .process
            .push(Label::SeLinux(contexts.process(&parts, &level)));
        labels.files = Some(contexts.files(&parts, &level));
    }
    for label in &labels.process {
        if !label.is_enforceable() {
            let (module, option) = match label {
                Label::AppArmor(_) => ("AppArmor", "apparmor="),
                Label::SeLinux(_) => ("SELinux", "label="),
            };
            bail!(
                "security_opt {option}: this host has no {module}: its kernel is without, or was \
                 booted without\n  help: remove the option, or boot with it (lsm= or security= \
                 on the kernel's command line)"
            );
        }
    }
    Ok(labels)
}

/// The parts of the `SELinux` label that are given, unless a later option disables it.
fn parts(options: &[SecurityOpt]) -> Vec<(ContextPart, &str)> {
    let mut parts = Vec::new();
    for option in options {
        match option {
            SecurityOpt::Label(part, value) => parts.push((*part, value.as_str())),
            SecurityOpt::LabelDisable => parts.clear(),
            _ => {}
        }
    }
    parts
}

/// Two of 1,024 categories, by the container's id: as with Docker and Podman, what keeps
/// containers of one type from each other's files.
fn categories(id: &ContainerId) -> String {
    let digits = id.as_str().as_bytes();
    let number = |part: &[u8]| {
        let text = String::from_utf8_lossy(part);
        u32::from_str_radix(&text, 16).unwrap_or(0) % 1024
    };
    let (first, second) = digits.split_at(digits.len().min(6));
    let (a, b) = (number(first), number(&second[..second.len().min(6)]));
    // Two different ones, the smaller one first, as the kernel writes them.
    let b = if a == b { (b + 1) % 1024 } else { b };
    format!("c{},c{}", a.min(b), a.max(b))
}

/// The host's words for containers: `lxc_contexts`, which the policy for containers brings.
struct Contexts {
    process: String,
    files: String,
}

impl Contexts {
    fn of_host() -> Self {
        let config = std::fs::read_to_string("/etc/selinux/config").unwrap_or_default();
        let policy = value(&config, "SELINUXTYPE").unwrap_or("targeted");
        let path = Path::new("/etc/selinux").join(policy);
        let text = std::fs::read_to_string(path.join("contexts/lxc_contexts"));
        Self::parse(&text.unwrap_or_default())
    }

    fn parse(text: &str) -> Self {
        let context = |key, otherwise: &str| value(text, key).unwrap_or(otherwise).to_owned();
        Self {
            process: context("process", "system_u:system_r:container_t:s0"),
            files: context("file", "system_u:object_r:container_file_t:s0"),
        }
    }

    fn process(&self, parts: &[(ContextPart, &str)], level: &str) -> String {
        changed(&self.process, parts, level)
    }

    /// The type and the role of a process are none of a file.
    fn files(&self, parts: &[(ContextPart, &str)], level: &str) -> String {
        let of_files: Vec<_> = parts
            .iter()
            .filter(|(part, _)| *part == ContextPart::Level)
            .copied()
            .collect();
        changed(&self.files, &of_files, level)
    }
}

/// The value of a line `KEY = "VALUE"`.
fn value<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        let value = value.trim().trim_matches('"');
        (name.trim() == key && !value.is_empty()).then_some(value)
    })
}

/// `USER:ROLE:TYPE:LEVEL`, the level with colons of its own.
fn changed(context: &str, parts: &[(ContextPart, &str)], level: &str) -> String {
    let mut fields: Vec<&str> = context.splitn(4, ':').collect();
    fields.resize(4, level);
    fields[3] = level;
    for (part, value) in parts {
        let place = match part {
            ContextPart::User => 0,
            ContextPart::Role => 1,
            ContextPart::Type => 2,
            ContextPart::Level => 3,
        };
        fields[place] = value;
    }
    fields.join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(texts: &[&str]) -> Vec<SecurityOpt> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn process(texts: &[&str], contexts: &str) -> String {
        let options = options(texts);
        Contexts::parse(contexts).process(&parts(&options), "s0:c1,c2")
    }

    #[test]
    fn what_is_not_given_is_what_the_host_says_of_containers() {
        let lxc = "process = \"system_u:system_r:svirt_lxc_net_t:s0\"\n\
                   content = \"system_u:object_r:virt_var_lib_t:s0\"\n\
                   file = \"system_u:object_r:svirt_sandbox_file_t:s0\"\n";
        assert_eq!(
            process(&["label=type:spc_t"], ""),
            "system_u:system_r:spc_t:s0:c1,c2"
        );
        assert_eq!(
            process(&["label=level:s0:c5", "label=user:u", "label=role:r"], lxc),
            "u:r:svirt_lxc_net_t:s0:c5"
        );
        let given = options(&["label=type:spc_t", "label=level:s0:c5"]);
        assert_eq!(
            Contexts::parse(lxc).files(&parts(&given), "s0:c1,c2"),
            "system_u:object_r:svirt_sandbox_file_t:s0:c5"
        );
        assert!(parts(&options(&["label=type:a", "label=disable"])).is_empty());
    }

    #[test]
    fn two_containers_have_other_categories() {
        let id = |text: &str| ContainerId::parse(&text.repeat(64)[..64]).unwrap();
        assert_eq!(categories(&id("a")), "c682,c683");
        assert_ne!(categories(&id("b")), categories(&id("a")));
    }
}
