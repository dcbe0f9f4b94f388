//! Firewalls of others that drop what containers send and get.
//!
//! A `drop` of any table is final: no rule of Coop's can take it back, and nothing of Coop's is
//! put into a table of somebody else, which would lose it at its next reload. So what stands in
//! the way is found and named, with what its owner has to be told.

use std::fmt;
use std::fs;
use std::path::Path;

use crate::apply::control;
use crate::error::Error;
use crate::spec::Network;
use crate::tool::NFT;

/// A chain that drops what is forwarded for a network, and what its owner has to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// The table: family and name.
    pub table: String,
    /// The chain in it.
    pub chain: String,
    /// Whose it is, as far as that can be told.
    pub owner: Firewall,
    bridge: String,
}

/// Who puts rules into the kernel, and takes them out at a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Firewall {
    /// Docker.
    Docker,
    /// Ubuntu's ufw.
    Ufw,
    /// firewalld.
    Firewalld,
    /// Somebody else.
    Other,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            table,
            chain,
            owner,
            bridge,
        } = self;
        let (who, remedy) = match owner {
            Firewall::Docker => (
                "Docker",
                format!(
                    "iptables -I DOCKER-USER -i {bridge} -j ACCEPT; iptables -I DOCKER-USER -o {bridge} -j ACCEPT"
                ),
            ),
            Firewall::Ufw => (
                "ufw",
                format!("ufw route allow in on {bridge}; ufw route allow out on {bridge}"),
            ),
            Firewall::Firewalld => (
                "firewalld",
                format!(
                    "firewall-cmd --permanent --zone=trusted --add-interface={bridge}; firewall-cmd --reload"
                ),
            ),
            Firewall::Other => (
                "the host's firewall",
                format!(
                    "nft insert rule {table} {chain} iifname {bridge} accept; nft insert rule {table} {chain} oifname {bridge} accept"
                ),
            ),
        };
        write!(
            f,
            "{who} drops what is forwarded to and from containers (chain {chain} of table {table})\n  help: {remedy}"
        )
    }
}

/// The chains of others that drop what is forwarded for `network`. It is looked for where there
/// are signs of a firewall that does such things; elsewhere no process is started.
///
/// # Errors
/// [`Error::Interface`], [`Error::Tool`].
pub fn obstacles(network: &Network) -> Result<Vec<Obstacle>, Error> {
    if network.internal || !is_likely()? {
        return Ok(Vec::new());
    }
    match NFT.output(&["--terse", "list", "ruleset"])? {
        Ok(text) => Ok(find(&text, &network.bridge)),
        Err(message) => {
            log::debug!("looking for other firewalls: {message}");
            Ok(Vec::new())
        }
    }
}

fn is_likely() -> Result<bool, Error> {
    const DOCKER: &str = "docker0";
    let docker = control(DOCKER)?
        .index(DOCKER)
        .map_err(crate::error::interface("look up the index", DOCKER))?;
    let ufw = || {
        let text = fs::read_to_string("/etc/ufw/ufw.conf").unwrap_or_default();
        text.lines().any(|line| line.trim() == "ENABLED=yes")
    };
    Ok(docker.is_some() || Path::new("/run/firewalld").exists() || ufw())
}

/// Reads what `nft list ruleset` prints: tables of chains of rules, one a line.
fn find(ruleset: &str, bridge: &str) -> Vec<Obstacle> {
    let mut found = Vec::new();
    for table in ruleset
        .split("\ntable ")
        .map(|text| text.trim_start_matches("table "))
    {
        let Some((name, body)) = table.split_once(" {") else {
            continue;
        };
        let family = name.split(' ').next().unwrap_or_default();
        let is_ours = name
            .split(' ')
            .nth(1)
            .is_some_and(|name| name.starts_with("coop_"));
        // Its owner has been told.
        let knows = body.contains(&format!("\"{bridge}\"")) || body.contains("\"coop-*\"");
        if is_ours || knows || !matches!(family, "ip" | "ip6" | "inet") {
            continue;
        }
        for chain in body.split("chain ").skip(1) {
            let Some((chain, rules)) = chain.split_once(" {") else {
                continue;
            };
            let forward = rules.contains("hook forward");
            let firewalld = name.ends_with(" firewalld");
            let drops = rules.contains("policy drop")
                || (firewalld && (rules.contains("reject") || rules.contains("drop")));
            if forward && drops {
                found.push(Obstacle {
                    table: name.to_owned(),
                    chain: chain.to_owned(),
                    owner: if firewalld {
                        Firewall::Firewalld
                    } else if body.contains("chain DOCKER-USER") {
                        Firewall::Docker
                    } else if body.contains("chain ufw") {
                        Firewall::Ufw
                    } else {
                        Firewall::Other
                    },
                    bridge: bridge.to_owned(),
                });
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCKER: &str = "\
table ip nat {
	chain POSTROUTING {
		type nat hook postrouting priority srcnat; policy accept;
	}
}
table ip filter {
	chain DOCKER-USER {
	}

	chain FORWARD {
		type filter hook forward priority filter; policy drop;
		counter packets 0 bytes 0 jump DOCKER-USER
	}
}
table inet coop_0123456789 {
	chain forward {
		type filter hook forward priority filter; policy accept;
		drop
	}
}
";

    #[test]
    fn who_drops_is_told_from_who_does_not() {
        let found = find(DOCKER, "coop-0123456789");
        let [docker] = &found[..] else {
            panic!("{found:?}")
        };
        assert_eq!(
            (docker.owner, &*docker.table),
            (Firewall::Docker, "ip filter")
        );
        assert!(
            docker
                .to_string()
                .contains("-I DOCKER-USER -i coop-0123456789 -j ACCEPT")
        );
        let told = DOCKER.replace(
            "chain DOCKER-USER {\n",
            "chain DOCKER-USER {\n\t\tiifname \"coop-*\" accept\n",
        );
        assert_eq!(find(&told, "coop-0123456789"), []);
    }

    #[test]
    fn others_are_known_by_their_chains() {
        let owner = |text: &str| find(text, "coop-1").first().map(|found| found.owner);
        let ufw = DOCKER.replace("DOCKER-USER", "ufw-user-forward");
        assert_eq!(owner(&ufw), Some(Firewall::Ufw));
        let firewalld = "table inet firewalld {\n\tchain filter_FORWARD {\n\t\ttype filter hook forward priority filter + 10; policy accept;\n\t\treject with icmpx admin-prohibited\n\t}\n}\n";
        assert_eq!(owner(firewalld), Some(Firewall::Firewalld));
        assert_eq!(
            owner(
                "table inet x {\n\tchain f {\n\t\ttype filter hook forward priority 0; policy drop;\n\t}\n}\n"
            ),
            Some(Firewall::Other)
        );
        assert_eq!(owner(""), None);
    }
}
