//! How many containers a service has, which, and when.

use super::Service;
use serde::Serialize;

/// Keys of a service.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Instances {
    /// Whether `up` shows its output; `None` is yes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attach: Option<bool>,
    /// Name of its only container, instead of one made of stack, service and number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container_name: Option<String>,
    /// The system that the image is for: this one's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// It belongs to these parts of the stack; to all when there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub profiles: Vec<String>,
    /// When the image is fetched: never, as images are local.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull_policy: Option<String>,
    /// How many containers; see [`Service::replicas`] for what holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<u32>,
}

impl Service {
    /// How many containers it has. A loaded file has no two numbers that differ.
    pub(crate) fn replicas(&self) -> u32 {
        let deployed = || self.deploy.as_ref().and_then(|deploy| deploy.replicas);
        self.instances.scale.or_else(deployed).unwrap_or(1)
    }

    /// Whether one of these profiles has it, or it is in all.
    pub(crate) fn is_enabled(&self, profiles: &[String]) -> bool {
        let own = &self.instances.profiles;
        own.is_empty()
            || profiles
                .iter()
                .any(|profile| profile == "*" || own.contains(profile))
    }
}
