//! From the stack file to the plan, without a container.

mod health;
mod isolation;
mod keys;
mod limits;
mod mounts;
mod whole;

use std::path::Path;

use coop_launcher::store::ContainerId;
use coop_net::{Lease, Mac, PortMapping};
use tempfile::TempDir;

use super::*;
use crate::host::Host;
use crate::load::Loaded;

/// The place of a container in a network, at 10.208.3.2.
pub(crate) fn lease(network: &str, container: &ContainerId, ports: Vec<PortMapping>) -> Lease {
    let address = [10, 208, 3, 2].into();
    Lease {
        network: network.to_owned(),
        container: container.to_string(),
        names: vec!["web".to_owned()],
        address,
        prefix_len: 24,
        gateway: [10, 208, 3, 1].into(),
        internal: false,
        mac: Mac::for_address(address),
        mtu: 1500,
        bridge: "coop-1".to_owned(),
        host_interface: "coop-v1".to_owned(),
        interface: "eth0".to_owned(),
        ports,
        ipv6: None,
        gw_priority: 0,
        link_local: Vec::new(),
        apart: false,
    }
}

/// A host of its own, with a directory to run instead of an image.
pub(crate) struct Fixture {
    directory: TempDir,
    pub(crate) host: Host,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("root")).unwrap();
        let host = Host::new(Some(&directory.path().join("state"))).unwrap();
        Self { directory, host }
    }

    /// The directory of the stack file.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The stack of a text.
    pub(crate) fn load(&self, text: &str) -> anyhow::Result<Loaded> {
        Loaded::from_text(text, self.path())
    }

    /// The plan of all services of a text, in the order of their start.
    pub(crate) fn plan(&self, text: &str) -> anyhow::Result<StackPlan> {
        let loaded = self.load(text)?;
        let order = loaded.order(&[])?;
        // The same ids each time: a digit for each place in the file.
        let services = loaded.stack.services.keys().zip(1..);
        let mut existing = Existing::default();
        for (name, digit) in services {
            existing.insert(name, 1, id(digit));
        }
        let plan = plan_stack(
            &self.host,
            &loaded.stack,
            &order,
            &loaded.variables,
            &existing,
        );
        loaded.explain(plan)
    }

    /// The service `web` with these keys, beside `db`; both without an image.
    pub(crate) fn web(&self, keys: &str) -> anyhow::Result<Draft> {
        let plan = self.plan(&web(keys))?;
        let is_web = |draft: &Draft| draft.plan.service.as_deref() == Some("web");
        Ok(plan.drafts.into_iter().find(is_web).unwrap())
    }
}

/// A stack file in which `web` has these keys.
fn web(keys: &str) -> String {
    let rootfs = if keys.contains("rootfs:") {
        ""
    } else {
        "rootfs: ./root"
    };
    let command = if keys.contains("command:") || keys.contains("entrypoint:") {
        ""
    } else {
        "command: serve"
    };
    let lines = [rootfs, command].into_iter().chain(keys.lines());
    let keys: Vec<String> = lines.map(|line| format!("    {line}")).collect();
    let keys = keys.join("\n");
    format!(
        "name: shop\nservices:\n  web:\n{keys}\n  db: {{rootfs: ./root, command: serve, \
         healthcheck: {{test: 'true'}}}}\nvolumes: {{data: }}\nnetworks: {{back: }}\nsecrets: \
         {{password: {{file: ./password}}, key: {{file: ./key}}}}\nconfigs: {{site: {{content: \
         hello}}}}\n"
    )
}

fn id(digit: u8) -> coop_launcher::store::ContainerId {
    let text = char::from(b'0' + digit).to_string();
    coop_launcher::store::ContainerId::parse(&text.repeat(64)).unwrap()
}
