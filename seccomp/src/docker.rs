//! Docker's and Podman's profiles: the OCI object with conditions about who it is for.
//!
//! A profile of this kind serves many machines and containers. [`Profile::resolve`] makes of it the
//! policy for one [`Context`]. Every `linux.seccomp` object of the OCI runtime-spec is a profile
//! of this kind as well, and means the same.

use serde::{Deserialize, Serialize};

use crate::oci::{self, Arg, Syscall, from_json};
use crate::profile_error::{Place, ProfileError};
use crate::{Arch, Capabilities, Context, KernelVersion, Policy, errno_of_name};

/// A profile as it is written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Profile {
    /// What happens to a call that no entry names.
    pub default_action: String,
    /// The number of that error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_errno_ret: Option<u32>,
    /// The name of that error, in Podman's profiles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_errno: Option<String>,
    /// ABIs beside the kernel's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architectures: Option<Vec<String>>,
    /// For each kernel, the ABIs that it serves: in place of `architectures`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arch_map: Option<Vec<Architecture>>,
    /// How it is loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flags: Option<Vec<String>>,
    /// The socket on which somebody takes the listener for `SCMP_ACT_NOTIFY`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listener_path: Option<String>,
    /// What they are told with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listener_metadata: Option<String>,
    /// The entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub syscalls: Option<Vec<Entry>>,
}

/// A kernel, and the ABIs that it serves beside its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Architecture {
    /// The kernel's own ABI.
    pub architecture: String,
    /// The others.
    #[serde(default)]
    pub sub_architectures: Option<Vec<String>>,
}

/// An entry, and for whom it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Entry {
    /// The calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names: Option<Vec<String>>,
    /// The call, in profiles of before 2017.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What happens to them.
    pub action: String,
    /// The number of the error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno_ret: Option<u32>,
    /// The name of the error, in Podman's profiles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno: Option<String>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub args: Option<Vec<Arg>>,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// For whom: all of it must be so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub includes: Option<Filter>,
    /// For whom not: none of it may be so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excludes: Option<Filter>,
}

/// What an entry depends on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Filter {
    /// Capabilities: `CAP_SYS_ADMIN`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caps: Option<Vec<String>>,
    /// Architectures by Go's names: `amd64`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arches: Option<Vec<String>>,
    /// The oldest kernel: `4.8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_kernel: Option<String>,
}

impl Profile {
    /// Reads a profile from JSON.
    ///
    /// # Errors
    /// [`ProfileError::TooLong`], [`ProfileError::Json`]. Its values are looked at by
    /// [`resolve`](Self::resolve).
    pub fn from_json(text: &[u8]) -> Result<Self, ProfileError> {
        from_json(text)
    }

    /// What the profile means for one context. Entries that are not for it are checked all the
    /// same: a profile is right or wrong, whoever reads it.
    ///
    /// # Errors
    /// [`ProfileError::Invalid`].
    pub fn resolve(&self, context: &Context) -> Result<Policy, ProfileError> {
        let number = errno(
            &Place::key("defaultErrno"),
            self.default_errno.as_deref(),
            self.default_errno_ret,
        )?;
        let flags = self.flags.as_deref().unwrap_or_default();
        let mut policy = oci::head(&self.default_action, number, flags)?;
        policy.architectures = self.architectures(context.arch)?;
        let at = Place::key("syscalls");
        for (index, entry) in self.syscalls.iter().flatten().enumerate() {
            let at = at.item(index);
            let rules = oci::rules(&at, &entry.as_oci(&at)?, policy.default)?;
            if entry.is_for(&at, context)? {
                policy.rules.extend(rules);
            }
        }
        Ok(policy.in_libseccomp_order())
    }

    fn architectures(&self, target: Arch) -> Result<Vec<Arch>, ProfileError> {
        let listed = self.architectures.as_deref().unwrap_or_default();
        let mapped = self.arch_map.as_deref().unwrap_or_default();
        if !listed.is_empty() && !mapped.is_empty() {
            let why = "either this or archMap, not both";
            return Err(Place::key("architectures").wrong(why));
        }
        let read = |at: &Place, names: &[String]| {
            let found = names.iter().enumerate();
            let found = found.map(|(index, name)| oci::arch(&at.item(index), name));
            let found = found.collect::<Result<Vec<_>, _>>()?;
            Ok(found.into_iter().flatten().collect::<Vec<_>>())
        };
        let mut served = read(&Place::key("architectures"), listed)?;
        for (index, kernel) in mapped.iter().enumerate() {
            let at = Place::key("archMap").item(index);
            let own = oci::arch(&at.then("architecture"), &kernel.architecture)?;
            let others = kernel.sub_architectures.as_deref().unwrap_or_default();
            let others = read(&at.then("subArchitectures"), others)?;
            if own == Some(target) && served.is_empty() {
                served = others;
            }
        }
        Ok(served)
    }
}

impl Entry {
    /// The entry without what is about whom it is for.
    fn as_oci(&self, at: &Place) -> Result<Syscall, ProfileError> {
        let names = match (&self.name, self.names.as_deref().unwrap_or_default()) {
            (Some(_), [_, ..]) => {
                return Err(at.then("name").wrong("either this or names, not both"));
            }
            (Some(name), []) => vec![name.clone()],
            (None, names) => names.to_vec(),
        };
        let errno_ret = errno(&at.then("errno"), self.errno.as_deref(), self.errno_ret)?;
        Ok(Syscall {
            names,
            action: self.action.clone(),
            errno_ret,
            args: self.args.clone().unwrap_or_default(),
        })
    }

    fn is_for(&self, at: &Place, context: &Context) -> Result<bool, ProfileError> {
        let includes = match &self.includes {
            Some(filter) => filter.parts(&at.then("includes"), context)?,
            None => Parts::default(),
        };
        let excludes = match &self.excludes {
            Some(filter) => filter.parts(&at.then("excludes"), context)?,
            None => Parts::default(),
        };
        Ok(includes.all_hold() && !excludes.any_holds())
    }
}

/// What a filter says, and whether it is so.
#[derive(Debug, Clone, Default)]
struct Parts {
    /// One for each capability.
    caps: Vec<bool>,
    /// Whether it is one of these architectures, where there are any.
    arch: Option<bool>,
    /// Whether the kernel is as new as that.
    kernel: Option<bool>,
}

impl Parts {
    fn all_hold(&self) -> bool {
        self.caps.iter().all(|has| *has) && self.arch != Some(false) && self.kernel != Some(false)
    }

    fn any_holds(&self) -> bool {
        self.caps.contains(&true) || self.arch == Some(true) || self.kernel == Some(true)
    }
}

impl Filter {
    fn parts(&self, at: &Place, context: &Context) -> Result<Parts, ProfileError> {
        let mut parts = Parts::default();
        for (index, name) in self.caps.iter().flatten().enumerate() {
            if !Capabilities::is_name(name) {
                let why = format!("unknown capability {name:?}");
                return Err(at.then("caps").item(index).wrong(why));
            }
            parts.caps.push(context.capabilities.contains(name));
        }
        for (index, name) in self.arches.iter().flatten().enumerate() {
            let found = go_arch(&at.then("arches").item(index), name)?;
            let is_it = found == Some(context.arch);
            parts.arch = Some(is_it || parts.arch == Some(true));
        }
        if let Some(version) = &self.min_kernel {
            let oldest = version
                .parse::<KernelVersion>()
                .map_err(|error| at.then("minKernel").wrong(error.to_string()))?;
            parts.kernel = Some(context.kernel >= oldest);
        }
        Ok(parts)
    }
}

/// Kernels that Coop does not run on, by the names that Docker has for them.
const OTHER_GO_ARCHITECTURES: [&str; 14] = [
    "loong64",
    "loongarch64",
    "mips",
    "mips64",
    "mips64n32",
    "mipsel",
    "mipsel64",
    "mips3l64n32",
    "mipsle",
    "ppc",
    "ppc64",
    "ppc64le",
    "s390",
    "s390x",
];

/// The ABI of this name; `None` for one of a kernel that is not supported.
fn go_arch(at: &Place, name: &str) -> Result<Option<Arch>, ProfileError> {
    match Arch::from_go_name(name) {
        // Docker's own name for it, beside Go's.
        None if name == "x86" => Ok(Some(Arch::X86)),
        None if OTHER_GO_ARCHITECTURES.contains(&name) => Ok(None),
        None => Err(at.clone().wrong(format!("unknown architecture {name:?}"))),
        found => Ok(found),
    }
}

/// The number of an error that is told by name, by number, or both.
fn errno(at: &Place, name: Option<&str>, number: Option<u32>) -> Result<Option<u32>, ProfileError> {
    let Some(name) = name.filter(|name| !name.is_empty()) else {
        return Ok(number);
    };
    let Some(named) = errno_of_name(name).map(u32::from) else {
        return Err(at.clone().wrong(format!("unknown error {name:?}")));
    };
    match number {
        Some(other) if other != named => {
            let why = format!("{name} is {named}, and the number beside it is {other}");
            Err(at.clone().wrong(why))
        }
        _ => Ok(Some(named)),
    }
}

#[cfg(test)]
mod tests;
