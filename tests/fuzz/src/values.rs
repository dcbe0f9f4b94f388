//! Values of the leaf crates, and documents of the launcher's.

use std::fmt::{Debug, Display};
use std::path::Path;
use std::str::FromStr;

use coop_launcher::Failure;
use coop_launcher::store::{ContainerId, Event, StackName, State, time};
use coop_launcher::supervisor::{Report, Request};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Texts with a meaning of their own. The first byte says which.
pub(crate) fn leaf_values(data: &[u8]) {
    const PARSERS: &[fn(&str)] = &[
        |text| drop(coop_net::PortMapping::parse(text)),
        printed::<coop_net::Ipv4Net>,
        printed::<coop_net::Mac>,
        |text| drop(coop_net::resolv_conf(text)),
        parsed::<coop_fs::MountOptions>,
        |text| drop(coop_fs::Mount::tmpfs("/tmp", text)),
        |text| {
            if let Ok(path) = coop_fs::normalize_target(Path::new(text)) {
                assert!(path.is_absolute() && path != Path::new("/"));
                assert!(!path.components().any(|part| part.as_os_str() == ".."));
            }
        },
        |text| {
            coop_fs::is_namespaced_sysctl(text);
        },
        printed::<coop_cgroup::CgroupPath>,
        parsed::<coop_cgroup::IndexList>,
        parsed::<coop_cgroup::Max>,
        parsed::<coop_cgroup::DeviceRule>,
        parsed::<coop_ns::privileges::Rlimit>,
        parsed::<coop_ns::privileges::RlimitKind>,
        parsed::<coop_ns::privileges::Capability>,
        parsed::<coop_ns::Signal>,
        |text| drop(coop_ns::hostname::validate(text)),
        |text| {
            for range in coop_ns::subid::parse(text, "me", Some(1000)) {
                assert!(range.overlaps(range), "{range:?}");
            }
        },
        |text| drop(ContainerId::parse(text)),
        |text| drop(StackName::parse(text)),
        |text| {
            if let Some(at) = time::parse(text) {
                time::format(at);
            }
        },
    ];
    let Some((which, text)) = data.split_first() else {
        return;
    };
    PARSERS[usize::from(*which) % PARSERS.len()](&String::from_utf8_lossy(text));
}

/// Names and digests of images.
pub(crate) fn reference(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    printed::<coop_image::Reference>(&text);
    printed::<coop_image::Digest>(&text);
}

/// What is known of a container, what happened to it, and how a launch failed.
pub(crate) fn state(data: &[u8]) {
    if let Some(state) = saved::<State>(data) {
        drop(state.status.to_string());
    }
    saved::<Event>(data);
    saved::<Failure>(data);
}

/// What a client asks of a supervisor, and what it is told.
pub(crate) fn control(data: &[u8]) {
    saved::<Request>(data);
    saved::<Report>(data);
}

/// An image's record, and the configuration in it.
pub(crate) fn image_record(data: &[u8]) {
    coop_image::fuzzing::record(data);
    saved::<coop_image::ImageConfig>(data);
}

/// What loads is saved again as what it was.
fn saved<T: DeserializeOwned + Serialize + PartialEq + Debug>(data: &[u8]) -> Option<T> {
    let value: T = serde_json::from_slice(data).ok()?;
    let text = serde_json::to_string(&value).expect("it can be saved");
    let again: T = serde_json::from_str(&text).expect("what was saved loads");
    assert_eq!(again, value, "{text}");
    Some(value)
}

/// What is accepted is printed as something that is accepted, and means the same.
fn printed<T: FromStr<Err: Debug + Display> + Display + PartialEq + Debug>(text: &str) {
    match text.parse::<T>() {
        Ok(value) => assert_eq!(value.to_string().parse::<T>().as_ref().ok(), Some(&value)),
        Err(error) => drop(error.to_string()),
    }
}

fn parsed<T: FromStr<Err: Display>>(text: &str) {
    if let Err(error) = text.parse::<T>() {
        drop(error.to_string());
    }
}
